// Command words counts phrases that make comments, messages and documents hard to
// read, and shows where they are and what to write instead. The phrases and the
// allowed numbers are in words.txt in the same folder. CI runs the test of this
// command as a check.
//
// Run it in the root of the repository:
//
//	go run ./internal/test/words                        # counts per phrase
//	go run ./internal/test/words -all worker providers  # every place in these folders
//	go run ./internal/test/words -sample 7              # texts drawn at random, for a fresh reader
package main

import (
	"bufio"
	_ "embed"
	"flag"
	"fmt"
	"os"
)

//go:embed words.txt
var list string

func main() {
	all := flag.Bool("all", false, "print every hit as file:line")
	file := flag.String("list", "", "read the phrases from this `file` instead of the built-in list")
	sample := flag.Uint64("sample", 0, "print 40 comments and 20 messages, drawn with this `seed`, and what their reader must do")
	flag.Parse()
	if err := run(*all, *file, *sample, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
		os.Exit(1)
	}
}

func run(all bool, file string, sample uint64, folders []string) error {
	if sample != 0 {
		return printSample(os.Stdout, ".", sample)
	}
	text := list
	if file != "" {
		own, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		text = string(own)
	}
	r, err := parseRules(text)
	if err != nil {
		return fmt.Errorf("words.txt: %w", err)
	}
	if len(folders) == 0 {
		folders = []string{"."}
	}
	c, err := r.measure(".", folders...)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(os.Stdout)
	c.report(w, all)
	return w.Flush()
}
