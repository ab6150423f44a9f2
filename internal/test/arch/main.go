// Command arch prints the arrows between the files of a package folder: which file uses
// names that another file declares. Its tests check the source tree:
//
//   - which packages each folder may import
//   - which packages are linked into a program that embeds producer
//   - which names need comments
//   - how long files and functions may be, and how many methods a type may have
//   - how many arrows run upwards
//   - which packages must check for goroutine leaks
//
// The command and its tests need only Go.
//
// Run it in the root of the repository:
//
//	go run ./internal/test/arch internal/ledger worker
//
// An arrow leads from file A to file B if A uses a package-level name or a method that B
// declares. Several uses count as one arrow. Fields of structs do not count. Test files, and
// files that are not built for this operating system, do not count.
//
// An arrow runs upwards if it leads to a file that is printed earlier. The command prints the
// files in the order with the fewest upward arrows. Files that use each other in a circle
// always have an upward arrow. The files that circles connect are a group, and the command
// orders each group separately. For a group of at most 18 files it finds the best order. For a larger group it
// makes a search, which starts from many orders, and moves single files as long as a move
// removes upward arrows. The search finds the same order in every run.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "arch:", err)
		os.Exit(1)
	}
}

// The function "run" prints the arrows of the package in each of the folders.
func run(out io.Writer, folders []string) error {
	if len(folders) == 0 {
		return errors.New("name at least one folder, e.g. internal/ledger")
	}
	w := bufio.NewWriter(out)
	for _, folder := range folders {
		a, err := arrowsOf(folder)
		if err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
		a.print(w, folder)
	}
	return w.Flush()
}

// The method "print" writes the files of the folder with their arrows, in the order that the function order() finds,
// and then the numbers of files and arrows.
func (a arrows) print(w io.Writer, folder string) {
	order := a.order()
	for place, from := range order {
		fmt.Fprintf(w, "%s\n", a.files[from])
		var below []string
		for _, to := range order[place+1:] {
			if len(a.uses[from][to]) > 0 {
				below = append(below, a.files[to])
			}
		}
		if len(below) > 0 {
			fmt.Fprintf(w, "    down: %s\n", strings.Join(below, " "))
		}
		for _, to := range order[:place] {
			if names := a.uses[from][to]; len(names) > 0 {
				fmt.Fprintf(w, "    UP:   %s for %s\n", a.files[to], strings.Join(names, ", "))
			}
		}
	}
	all, up := a.count(), a.upwards(order)
	fmt.Fprintf(w, "%s: %d files, %d arrows, %d upwards (%.0f %%), %d in circles\n",
		folder, len(a.files), all, up, 100*float64(up)/float64(max(all, 1)), a.inCircles())
}
