// Package console formats output for people and for spreadsheets: tables, charts, progress bars,
// numbers, times and money. It does not depend on campaigns.
package console

import (
	"io"
	"os"
	"strings"
	"time"

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
	// Terminal is true if the output is a terminal.
	Terminal bool
	// Unicode is true if the output is a terminal that shows lines and block characters.
	Unicode bool
	// Zone is the time zone of the times that a terminal shows; nil means UTC.
	Zone *time.Location
}

// Time formats a time to the second. On a terminal the result is the local time with the name of its
// zone. Elsewhere it is RFC 3339 in UTC, for programs. The result for the zero time is an empty
// string.
func (s Screen) Time(t time.Time) string { return s.format(t, "2006-01-02 15:04:05 MST") }

// Minute is like Time, but for a terminal it leaves out the seconds and the zone. Use it for tables
// whose header names the zone.
func (s Screen) Minute(t time.Time) string { return s.format(t, "2006-01-02 15:04") }

// CutMiddle shortens a text so that it fits into one line of the terminal, together with another
// text. The parameter "reserved" is the width of the other text in characters. If the output is
// not a terminal, CutMiddle returns the whole text.
func (s Screen) CutMiddle(text string, reserved int) string {
	if !s.Terminal {
		return text
	}
	return CutMiddle(text, max(s.Width-reserved, 1))
}

// Line joins the cells of a row that is not part of a table. On a terminal it leaves out the last
// cells if they do not fit into the line.
func (s Screen) Line(cells ...string) string {
	for len(cells) > 1 && s.Terminal && displayWidth(strings.Join(cells, columnGap)) > s.Width {
		cells = cells[:len(cells)-1]
	}
	return s.CutMiddle(strings.Join(cells, columnGap), 0)
}

// Paragraph writes a text to w. On a terminal it breaks the text between words into lines.
func (s Screen) Paragraph(w io.Writer, text string) error {
	if s.Terminal {
		text = strings.Join(Wrap(text, s.Width), "\n")
	}
	_, err := io.WriteString(w, text+"\n")
	return err
}

func (s Screen) format(t time.Time, layout string) string {
	if t.IsZero() || !s.Terminal {
		return FormatTime(t)
	}
	if s.Zone == nil {
		return t.UTC().Format(layout)
	}
	return t.In(s.Zone).Format(layout)
}

// NewScreen returns the properties of the screen to which w writes. The function "lookup" reads an
// environment variable.
func NewScreen(w io.Writer, lookup func(string) (string, bool)) Screen {
	name, _ := lookup("TERM")
	terminal := IsTerminal(w)
	zone := time.Local //nolint:gosmopolitan // a terminal shows the times of its user
	if name, ok := lookup("TZ"); ok {
		if loaded, err := time.LoadLocation(name); err == nil {
			zone = loaded
		}
	}
	return Screen{Width: Width(w), Terminal: terminal, Zone: zone, Unicode: terminal && name != "dumb" && isUTF8(lookup)}
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

// Table prints a table to w, with lines if the screen shows them. On a terminal no line is wider than
// the screen (Table.Fit). It prints nothing if the table has no rows.
func (s Screen) Table(w io.Writer, t Table) error {
	if len(t.Rows) == 0 {
		return nil
	}
	if !s.Terminal {
		return t.Plain(w)
	}
	fitted, ok := t.Fit(s.Width)
	if s.Unicode && ok {
		return fitted.Draw(w)
	}
	return fitted.Plain(w)
}
