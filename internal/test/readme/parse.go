package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A marker may name a terminal, as in "<!-- run, terminal 2 -->". The first step in a terminal
// opens the terminal, which is a new shell in the home folder, with only the variables that
// ~/.bashrc sets. If a marker names no terminal, its step uses the terminal that a marker named last.

// kind is the way in which readme handles a fenced code block.
type kind string

// These are the kinds of fenced code blocks. A Markdown comment before the block names the kind. This
// comment is called the marker. A block whose language is plain text needs no marker and is skipped.
const (
	// "<!-- run -->": the commands must exit with status 0. "<!-- run, terminal 2, status 3 -->": the
	// commands must exit with status 3.
	runs kind = "run"
	// "<!-- stays, terminal 1, until 127.0.0.1:6379 listens -->": the command keeps running and
	// occupies its terminal. With the words `until "ready" is printed`, readme waits until the
	// command has printed the text in quotes.
	stays kind = "stays"
	// "<!-- file: tuma.yaml -->": readme writes this file into the terminal's folder. The text before
	// the fence must contain the name of the file in backticks: `tuma.yaml`.
	file kind = "file"
	// "<!-- prints -->": the last commands must have printed each line of the fence; … matches any
	// text. "<!-- prints, terminal 1 -->": the command that occupies the terminal prints the lines.
	prints kind = "prints"
	// "<!-- in .ci/run -->": .ci/run contains these lines, so readme does not run these lines.
	inCI kind = "in .ci/run"
	// "<!-- not run: reason -->": readme skips the fence.
	notRun kind = "not run"
)

// step is a fenced code block that is not skipped.
type step struct {
	kind kind
	page string
	line int
	// terminal is the number in the marker, or 0.
	terminal int
	// name is the file's name or the address to wait for, or empty.
	name   string
	status int
	text   string
}

// markers match the comment of each kind. The first group of a pattern is the terminal. The second
// group is the argument, which is a status, an address, a file name or a reason.
var markers = map[kind]*regexp.Regexp{
	runs:   regexp.MustCompile(`^run(?:, terminal ([0-9]+))?(?:, status ([0-9]+))?$`),
	stays:  regexp.MustCompile(`^stays(?:, terminal ([0-9]+))?, until (\S+ listens|".+" is printed)$`),
	file:   regexp.MustCompile(`^file(?:, terminal ([0-9]+))?: (\S+)$`),
	prints: regexp.MustCompile(`^prints(?:, terminal ([0-9]+))?()$`),
	inCI:   regexp.MustCompile(`^in \.ci/run()()$`),
	notRun: regexp.MustCompile(`^not run: ()(.+)$`),
}

// comment matches a comment that is alone on a line.
var comment = regexp.MustCompile(`^<!--\s*(.*?)\s*-->$`)

// parse returns the steps of a Markdown text, in order. It returns an error if a fence has no
// comment or an unknown comment, if a fence is not closed, or if the text before a file's fence
// does not name the file.
func parse(page, text string) ([]step, error) {
	var steps []step
	var marker string
	var open *step
	var prose strings.Builder // since the last fence
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
			if err == nil && s.kind == file && !strings.Contains(prose.String(), "`"+s.name+"`") {
				err = fmt.Errorf("line %d: the text before the fence does not name the file `%s`", n, s.name)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", page, err)
			}
			s.page = page
			open, marker = &s, ""
			prose.Reset()
		case comment.MatchString(line):
			marker = comment.FindStringSubmatch(line)[1]
		case line != "":
			marker = ""
			prose.WriteString(line + "\n")
		}
	}
	if open != nil {
		return nil, fmt.Errorf("%s: line %d: the fence is not closed", page, open.line)
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("%s: found no fence to run", page)
	}
	return steps, nil
}

// The function "begin" returns the step of a fence. The parameter "language" is the fence's language.
// The parameter "marker" is the comment before the fence.
func begin(line int, language, marker string) (s step, err error) {
	for k, form := range markers {
		m := form.FindStringSubmatch(marker)
		if m == nil {
			continue
		}
		s = step{kind: k, line: line, name: m[2]}
		if s.terminal, err = number(m[1]); err == nil && k == runs {
			s.status, err = number(m[2])
		}
		if err != nil {
			return step{}, fmt.Errorf("line %d: %w", line, err)
		}
		return s, nil
	}
	if marker != "" {
		return step{}, fmt.Errorf("line %d: unknown comment %q: the kinds of comments are in internal/test/readme/parse.go", line, marker)
	}
	if language != "" && language != "text" {
		return step{}, fmt.Errorf("line %d: a fence of %s needs a comment, e.g. <!-- run -->", line, language)
	}
	return step{line: line}, nil
}

// The function "number" returns the number for a text of digits. For an empty text it returns 0.
func number(digits string) (int, error) {
	if digits == "" {
		return 0, nil
	}
	return strconv.Atoi(digits)
}
