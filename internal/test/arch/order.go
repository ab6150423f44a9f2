package main

import (
	"cmp"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// exactly is the largest number of files in a group for which minimalOrder tries all
// orders. A group of 18 needs 2^18 steps for each file.
const exactly = 18

// order returns the indexes of the files in the order with the fewest upward arrows. A
// file precedes the files that it uses.
func (a arrows) order() []int {
	var order []int
	for _, group := range a.groups() {
		if len(group) <= exactly {
			order = append(order, a.minimalOrder(group)...)
		} else {
			order = append(order, a.searchedOrder(group)...)
		}
	}
	return order
}

// arrow returns 1 if there is an arrow between two files, and 0 otherwise.
func (a arrows) arrow(from, to int) int { return min(len(a.uses[from][to]), 1) }

// groups returns the strongly connected components: two files are in one group if each
// of them uses the other, directly or through other files. No arrow leads from a group
// to an earlier group.
func (a arrows) groups() [][]int {
	n := len(a.files)
	reach := make([][]bool, n)
	for i := range reach {
		reach[i] = make([]bool, n)
		for j := range reach[i] {
			reach[i][j] = i == j || a.arrow(i, j) > 0
		}
	}
	for k := range n {
		for i := range n {
			for j := range n {
				reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
			}
		}
	}
	var groups [][]int
	reached := make([]int, n) // the number of files that a file reaches
	for i := range n {
		var group []int
		for j := range n {
			if reach[i][j] {
				reached[i]++
			}
			if reach[i][j] && reach[j][i] {
				group = append(group, j)
			}
		}
		if group[0] == i {
			groups = append(groups, group)
		}
	}
	// A file reaches every file that a file below it reaches, and itself.
	slices.SortStableFunc(groups, func(x, y []int) int { return cmp.Compare(reached[y[0]], reached[x[0]]) })
	return groups
}

// minimalOrder returns an order of the group that has the fewest upward arrows of all
// orders. For each set of files it computes how few upward arrows the set needs if its
// files stand first, from the results of the sets with one file less.
func (a arrows) minimalOrder(group []int) []int {
	n := len(group)
	used := make([]uint, n) // for each file, the set of the files that it uses, as bits
	for i := range group {
		for j := range group {
			used[i] |= uint(a.arrow(group[i], group[j])) << j
		}
	}
	fewest := make([]int, 1<<n)
	last := make([]int, 1<<n) // the file that stands last in the best order of the set
	for set := uint(1); set < 1<<n; set++ {
		fewest[set] = n * n
		for i := range n {
			others := set &^ (1 << i)
			if others == set {
				continue
			}
			if up := fewest[others] + bits.OnesCount(used[i]&others); up <= fewest[set] {
				fewest[set], last[set] = up, i
			}
		}
	}
	order := make([]int, n)
	for set, place := uint(1)<<n-1, n-1; place >= 0; place-- {
		order[place] = group[last[set]]
		set &^= 1 << last[set]
	}
	return order
}

// searchedOrder returns an order of the group with few upward arrows. It starts at the
// sorted order, and then again at changed copies of the best order so far.
func (a arrows) searchedOrder(group []int) []int {
	random := rand.New(rand.NewPCG(1, uint64(len(group))))
	best := slices.Clone(group)
	a.improve(best)
	fewest := a.upwards(best)
	for range 1000 {
		order := slices.Clone(best)
		for range 2 + random.IntN(6) {
			i, j := random.IntN(len(order)), random.IntN(len(order))
			order[i], order[j] = order[j], order[i]
		}
		a.improve(order)
		if up := a.upwards(order); up <= fewest {
			best, fewest = order, up
		}
	}
	return best
}

// improve moves one file at a time to the place with the fewest upward arrows, until no
// move of a file helps.
func (a arrows) improve(order []int) {
	for moved := true; moved; {
		moved = false
		for place := range order {
			if target := a.bestPlace(order, place); target != place {
				file := order[place]
				order = slices.Delete(order, place, place+1)
				order = slices.Insert(order, target, file)
				moved = true
			}
		}
	}
}

// bestPlace returns the place where the file at place causes the fewest upward arrows if
// the other files stay in order. It returns place itself if no other is better.
func (a arrows) bestPlace(order []int, place int) int {
	file, target, change, best := order[place], place, 0, 0
	for i := place - 1; i >= 0; i-- { // the file moves up past order[i]
		change += a.arrow(order[i], file) - a.arrow(file, order[i])
		if change < best {
			target, best = i, change
		}
	}
	change = 0
	for i := place + 1; i < len(order); i++ { // the file moves down past order[i]
		change += a.arrow(file, order[i]) - a.arrow(order[i], file)
		if change < best {
			target, best = i, change
		}
	}
	return target
}
