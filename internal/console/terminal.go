// Package console formats output for people and for spreadsheets: tables, charts, progress bars,
// numbers, times and money. It does not depend on campaigns.
package console

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Width returns the width of a terminal in characters, or 80 if it is not known.
func Width(stream any) int {
	if f, ok := stream.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// Screen describes where output is shown.
type Screen struct {
	Width int // in characters
	// Unicode is true if the output is a terminal that shows lines and block characters.
	Unicode bool
}

// NewScreen returns the properties of the screen that w writes to. lookup reads an environment
// variable.
func NewScreen(w io.Writer, lookup func(string) (string, bool)) Screen {
	name, _ := lookup("TERM")
	return Screen{Width: Width(w), Unicode: IsTerminal(w) && name != "dumb" && isUTF8(lookup)}
}

// isUTF8 reports whether the locale in the environment uses UTF-8.
func isUTF8(lookup func(string) (string, bool)) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale, _ := lookup(name); locale != "" {
			locale = strings.ToLower(locale)
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

// Table prints a table to w, with lines if the screen shows them. It prints nothing if the table
// has no rows.
func (s Screen) Table(w io.Writer, t Table) error {
	switch {
	case len(t.Rows) == 0:
		return nil
	case s.Unicode:
		return t.Draw(w)
	}
	return t.Plain(w)
}
