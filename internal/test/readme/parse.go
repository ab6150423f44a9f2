package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// kind is what readme does with a fenced code block.
type kind string

// A comment before the fence names the kind. A fence whose language is plain text needs no comment
// and is skipped.
const (
	// "<!-- run -->" or "<!-- run, status 3 -->": the commands must exit with this status.
	runs kind = "run"
	// "<!-- stays, until 127.0.0.1:6379 listens -->": the command keeps running in the background.
	stays kind = "stays"
	// "<!-- file: tuma.yaml -->": readme writes this file.
	file kind = "file"
	// "<!-- prints -->": the last commands must have printed each line of the fence; … matches any text.
	prints kind = "prints"
	// "<!-- in .ci/run -->": .ci/run contains these lines, so readme does not run them.
	inCI kind = "in .ci/run"
	// "<!-- not run: reason -->": readme skips the fence.
	notRun kind = "not run"
)

// step is a fenced code block that is not skipped.
type step struct {
	kind kind
	line int
	// name is the file's name or the address to wait for, or empty.
	name   string
	status int
	text   string
}

// markers match the comment of each kind. The group of a pattern is the argument: a status, an address, a file name or
// a reason.
var markers = map[kind]*regexp.Regexp{
	runs:   regexp.MustCompile(`^run(?:, status ([0-9]+))?$`),
	stays:  regexp.MustCompile(`^stays, until (\S+) listens$`),
	file:   regexp.MustCompile(`^file: (\S+)$`),
	prints: regexp.MustCompile(`^prints()$`),
	inCI:   regexp.MustCompile(`^in \.ci/run()$`),
	notRun: regexp.MustCompile(`^not run: (.+)$`),
}

// comment matches a comment that is alone on a line.
var comment = regexp.MustCompile(`^<!--\s*(.*?)\s*-->$`)

// parse returns the steps of a Markdown text, in order. It returns an error if a fence has no
// comment or an unknown comment, or is not closed.
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
		return nil, fmt.Errorf("line %d: the fence is not closed", open.line)
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("found no fence to run")
	}
	return steps, nil
}

// begin returns the step of a fence. language is the fence's language, and marker is the comment
// before the fence.
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
		return step{}, fmt.Errorf("line %d: unknown comment %q", line, marker)
	}
	if language != "" && language != "text" {
		return step{}, fmt.Errorf("line %d: a fence of %s needs a comment, e.g. <!-- run -->", line, language)
	}
	return step{line: line}, nil
}
