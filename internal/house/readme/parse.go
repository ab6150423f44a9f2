package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// kind is what is done with a fence.
type kind string

// A comment before a fence says which. Fences of plain text need none.
const (
	// "<!-- run -->" or "<!-- run, status 3 -->": the commands end, with that status.
	runs kind = "run"
	// "<!-- stays, until 127.0.0.1:6379 listens -->": the command goes on in a terminal of its own.
	stays kind = "stays"
	// "<!-- file: tuma.yaml -->": the reader writes this file.
	file kind = "file"
	// "<!-- prints -->": what the commands before print; … stands for anything.
	prints kind = "prints"
	// "<!-- in .ci/run -->": CI runs these lines by itself.
	inCI kind = "in .ci/run"
	// "<!-- not run: reason -->".
	notRun kind = "not run"
)

// step is a fence.
type step struct {
	kind kind
	line int
	// name is the file's name, or the address to wait for.
	name   string
	status int
	text   string
}

// markers are what a comment may say, each with one group for what it needs to know.
var markers = map[kind]*regexp.Regexp{
	runs:   regexp.MustCompile(`^run(?:, status ([0-9]+))?$`),
	stays:  regexp.MustCompile(`^stays, until (\S+) listens$`),
	file:   regexp.MustCompile(`^file: (\S+)$`),
	prints: regexp.MustCompile(`^prints()$`),
	inCI:   regexp.MustCompile(`^in \.ci/run()$`),
	notRun: regexp.MustCompile(`^not run: (.+)$`),
}

// comment is a comment that stands alone on a line.
var comment = regexp.MustCompile(`^<!--\s*(.*?)\s*-->$`)

// parse finds the fences of a Markdown text, in order.
func parse(text string) ([]step, error) {
	var steps []step
	var marker string
	var open *step
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case open != nil && fence:
			if open.kind != "" {
				steps = append(steps, *open)
			}
			open = nil
		case open != nil:
			open.text += line + "\n"
		case fence:
			s, err := begin(n, language, marker)
			if err != nil {
				return nil, err
			}
			open, marker = &s, ""
		case comment.MatchString(line):
			marker = comment.FindStringSubmatch(line)[1]
		case line != "":
			marker = ""
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the fence is never closed", open.line)
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("there is nothing to run")
	}
	return steps, nil
}

// begin makes the step of a fence that opens.
func begin(line int, language, marker string) (step, error) {
	for k, form := range markers {
		m := form.FindStringSubmatch(marker)
		if m == nil {
			continue
		}
		s := step{kind: k, line: line, name: m[1]}
		if k == runs && m[1] != "" {
			var err error
			if s.status, err = strconv.Atoi(m[1]); err != nil {
				return step{}, fmt.Errorf("line %d: status: %w", line, err)
			}
		}
		return s, nil
	}
	if marker != "" {
		return step{}, fmt.Errorf("line %d: nobody knows what %q asks for", line, marker)
	}
	if language != "" && language != "text" {
		return step{}, fmt.Errorf("line %d: a comment must say what becomes of this %s", line, language)
	}
	return step{line: line}, nil
}
