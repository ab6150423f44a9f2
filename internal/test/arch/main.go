// Command arch prints the arrows between the files of a package folder: which file uses
// names that another file declares. Its tests check the source tree: which folder may
// import which packages, which packages a program that embeds producer links, which
// names need comments, how long files and functions may be, how many methods a type may
// have, how many arrows run upwards, and which packages must check for goroutine leaks.
// The checks need only Go.
//
// Run it in the root of the repository:
//
//	go run ./internal/test/arch internal/ledger worker
//
// An arrow leads from file A to file B if A uses a package-level name or a method that B
// declares. Any number of uses is one arrow. Fields of structs do not count. Test files
// do not count, neither do files that are not built for this operating system.
//
// The files are printed in the order in which the fewest arrows run upwards, that is, to
// a file that is printed earlier. Files that use each other in a circle cannot be
// printed without an upward arrow. Each group of files that are connected by circles is
// ordered for itself: exactly if it has at most 18 files, otherwise by a search that
// moves single files until that does not help, from many beginnings. The search
// always gives the same order.
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

// run prints the arrows of each folder.
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

// print writes the files in order, with their arrows, and the counts.
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
