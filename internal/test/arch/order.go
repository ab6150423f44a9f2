package main

import (
	"cmp"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// The constant "exactly" is the largest number of files in a group for which the method "order" calls
// minimalOrder. A group of 18 files needs 18 times 2^18 steps.
const exactly = 18

// The method "order" returns the indexes of the files in the order with the fewest upward arrows. It puts a file
// before the files that it uses, wherever that is possible.
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

// The method "arrow" returns 1 if an arrow leads from the file with the index "user" to the file with the index
// "used", and 0 otherwise.
func (a arrows) arrow(user, used int) int { return min(len(a.uses[user][used]), 1) }

// The method "groups" returns the strongly connected components: two files are in one group if each of them uses the
// other, directly or through other files. No arrow leads from a group to an earlier group.
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
	// If an arrow leads from one group to another group, the first group reaches its own files and all files
	// that the second group reaches. So sort the groups by the number of files that they reach.
	slices.SortStableFunc(groups, func(x, y []int) int { return cmp.Compare(reached[y[0]], reached[x[0]]) })
	return groups
}

// minimalOrder returns an order of the group with the fewest upward arrows possible. For each set
// of files it computes the smallest number of upward arrows in an order of only these files. It
// computes this number from the numbers of the sets that have one file less.
func (a arrows) minimalOrder(group []int) []int {
	n := len(group)
	used := make([]uint, n) // maps each file of the group to a bit set of the files that it uses
	for i := range group {
		for j := range group {
			used[i] |= uint(a.arrow(group[i], group[j])) << j
		}
	}
	fewest := make([]int, 1<<n)
	last := make([]int, 1<<n) // maps each set to the last file in the best order of that set
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

// searchedOrder returns an order of the group with few upward arrows, but not always with the
// fewest. It first improves the given order. Then it improves 1,000 changed copies of the best
// order found so far.
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

// The method "improve" moves one file of the list "order" at a time to the place with the fewest upward arrows. It
// stops when no move of a single file lowers the number of upward arrows.
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

// bestPlace returns the index to which the file at the index "place" must move, so that the fewest arrows run
// upwards. The other files keep their order. It returns the value of "place" if no other index is better.
func (a arrows) bestPlace(order []int, place int) int {
	file, target, change, best := order[place], place, 0, 0
	for i := place - 1; i >= 0; i-- { // try to move the file up, before order[i]
		change += a.arrow(order[i], file) - a.arrow(file, order[i])
		if change < best {
			target, best = i, change
		}
	}
	change = 0
	for i := place + 1; i < len(order); i++ { // try to move the file down, after order[i]
		change += a.arrow(file, order[i]) - a.arrow(order[i], file)
		if change < best {
			target, best = i, change
		}
	}
	return target
}
