package config

import (
	"strconv"
	"strings"
)

// problem is one mistake in the configuration. The field "line" is 0 if the line is not known.
type problem struct {
	line int
	name string
	what string
}

// Error holds all mistakes of a configuration.
type Error struct {
	file     string
	problems []problem
}

// Error returns one line for each mistake. The line has the file, the line number, the name of
// the setting and the problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.problems))
	for i, p := range e.problems {
		var b strings.Builder
		if e.file != "" {
			b.WriteString(e.file + ":")
		}
		if p.line > 0 {
			b.WriteString(strconv.Itoa(p.line) + ":")
		}
		for _, part := range []string{p.name, p.what} {
			if part == "" {
				continue
			}
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(part)
		}
		lines[i] = b.String()
	}
	return strings.Join(lines, "\n")
}
