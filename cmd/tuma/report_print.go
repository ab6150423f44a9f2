package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// page is what somebody reads on.
type screen struct {
	width int
	// drawn: a terminal that shows lines and blocks.
	unicode bool
}

// page finds out what the output is.
func (a *app) screen() screen {
	return screen{width: terminalWidth(a.out), unicode: isTerminal(a.out) && a.env["TERM"] != "dumb" && a.isUTF8()}
}

// isUTF8 says whether the locale's characters are UTF-8, as far as it tells.
func (a *app) isUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := a.env[name]; locale != "" {
			locale = strings.ToLower(locale)
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

func (p screen) table(w io.Writer, g grid) error {
	switch {
	case len(g.rows) == 0:
		return nil
	case p.unicode:
		return g.draw(w)
	}
	return g.plain(w)
}

// The tables of a page do not go on for ever.
const (
	shownReasons   = 10
	shownCodes     = 5
	shownAccounts  = 10
	shownCountries = 8
	shownCosts     = 4
)

// print writes the report for people.
func (r *report) print(w io.Writer, p screen) error {
	section := func(write func(io.Writer) error) error {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		return write(w)
	}
	_, err := fmt.Fprintf(w, "%s: %s, %s\n", r.ID, r.State, plural(r.Recipients, "recipient"))
	errs := []error{err, p.table(w, r.figures())}
	for _, g := range []grid{r.statusTable(p), r.reasonTable(), r.codeTable(), groupTable("account", r.Accounts, shownAccounts, 2),
		groupTable("country", r.Countries, shownCountries, 1)} {
		if len(g.rows) > 0 {
			errs = append(errs, section(func(w io.Writer) error { return p.table(w, g) }))
		}
	}
	if r.Seconds >= 1 {
		errs = append(errs, section(func(w io.Writer) error { return r.printChart(w, p) }))
	}
	if len(r.Next) > 0 {
		errs = append(errs, section(func(w io.Writer) error { return r.printNext(w, p) }))
	}
	return errors.Join(errs...)
}

// figures are those of the whole campaign.
func (r *report) figures() grid {
	g := grid{right: []int{1}}
	if r.Calls > 0 {
		g.add("calls", formatInt(r.Calls), "")
		g.add("segments", formatInt(r.Segments), "of accepted messages")
	}
	for i, c := range r.Cost {
		if i == shownCosts {
			g.add("cost", "", fmt.Sprintf("and in %d more currencies", len(r.Cost)-i))
			break
		}
		g.add("cost", strings.TrimSpace(c.Amount.String()+" "+c.Currency), "as gateways told, of "+plural(c.Messages, "message"))
	}
	for _, c := range r.Estimate {
		g.add("estimate", c.Amount.String()+" "+c.Currency, "by the accounts' price, of "+plural(c.Messages, "message"))
	}
	if r.OptedOut > 0 {
		g.add("opted out", formatInt(r.OptedOut), "")
	}
	if r.Began != nil {
		g.add("sent in", formatDuration(r.Ended.Sub(*r.Began)), formatTime(*r.Began)+" to "+formatTime(*r.Ended))
		if r.Seconds >= 1 {
			g.add("rate", formatRate(r.Rate), "on average, "+formatRate(r.Busiest)+" at most")
		}
	}
	return g
}

// statusOrder is the order in which statuses are told.
var statusOrder = []string{"pending", "accepted", "delivered", "undelivered", "rejected", "unknown", "skipped"}

func (r *report) statusTable(p screen) grid {
	g := grid{header: []string{"status", "recipients", "share"}, right: []int{1, 2}}
	most := 0
	for _, n := range r.Statuses {
		most = max(most, n)
	}
	width := max(min(p.width-40, 40), 10)
	for _, s := range statusOrder {
		if n := r.Statuses[s]; n > 0 {
			g.add(s, formatInt(n), share(n, r.Recipients), bar(n, most, width, p.unicode))
		}
	}
	if len(g.rows) > 0 {
		g.header = append(g.header, "")
	}
	return g
}

// bar is a line as long as a number is large; what is more than nothing shows.
func bar(n, most, width int, drawn bool) string {
	mark := "#"
	if drawn {
		mark = "█"
	}
	return strings.Repeat(mark, max(1, (n*width+most/2)/max(most, 1)))
}

// share is a part of a whole in percent.
func share(n, of int) string {
	if n > 0 && n*2000 < of {
		return "<0.1 %"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(of, 1)))
}

func (r *report) reasonTable() grid {
	g := grid{header: []string{"reason", "status", "recipients"}, right: []int{2}}
	for i, x := range r.Reasons {
		if i == shownReasons {
			g.add(fmt.Sprintf("and %d more", len(r.Reasons)-i), "", "")
			break
		}
		g.add(x.Reason, x.Status, formatInt(x.Recipients))
	}
	return g
}

func (r *report) codeTable() grid {
	g := grid{header: []string{"code", "status", "account", "recipients"}, right: []int{3}}
	for i, x := range r.Codes {
		if i == shownCodes {
			g.add(fmt.Sprintf("and %d more", len(r.Codes)-i), "", "", "")
			break
		}
		g.add(withoutControls(x.Code, 30), x.Status, x.Account, formatInt(x.Recipients))
	}
	return g
}

// printable is a gateway's word without what would do something to a terminal.
func withoutControls(s string, most int) string {
	return oneLine(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s), most)
}

// groupTable shows the statuses that somebody has; of fewer groups than least it shows nothing.
func groupTable(what string, groups []group, most, least int) grid {
	g := grid{header: []string{what, "recipients"}, right: []int{1}}
	if len(groups) < least {
		return g
	}
	var statuses []string
	for _, s := range statusOrder {
		for _, x := range groups {
			if x.Statuses[s] > 0 {
				statuses = append(statuses, s)
				g.right = append(g.right, len(g.header))
				g.header = append(g.header, s)
				break
			}
		}
	}
	line := func(name string, n int, by map[string]int) {
		cells := []string{name, formatInt(n)}
		for _, s := range statuses {
			cells = append(cells, formatInt(by[s]))
		}
		g.add(cells...)
	}
	rest := group{Statuses: map[string]int{}}
	for i, x := range groups {
		if i < most || len(groups) == most+1 {
			name := x.Name
			if name == "" {
				name = "(none)"
			}
			line(name, x.Recipients, x.Statuses)
			continue
		}
		rest.Recipients += x.Recipients
		for s, n := range x.Statuses {
			rest.Statuses[s] += n
		}
	}
	if rest.Recipients > 0 {
		line(fmt.Sprintf("%d more", len(groups)-most), rest.Recipients, rest.Statuses)
	}
	return g
}

func (r *report) printChart(w io.Writer, p screen) error {
	// Beside the bars stands the scale.
	columns := max(min(p.width-14, 100), 20)
	c, g := r.times.chart(columns), plainGlyphs
	if p.unicode {
		g = blockGlyphs
	}
	_, err := fmt.Fprintf(w, "recipients a second, a column for each %s, UTC\n", span(c.each))
	return errors.Join(err, c.print(w, g, columns))
}

// span writes a length of time that is a full number of something.
func span(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

func (r *report) printNext(w io.Writer, p screen) error {
	text := "what next:\n"
	for _, x := range r.Next {
		if x.Command != "" {
			x.Why += ":"
		}
		for _, line := range wrap(x.Why, p.width-2) {
			text += "  " + line + "\n"
		}
		if x.Command != "" {
			text += "    " + x.Command + "\n"
		}
	}
	_, err := io.WriteString(w, text)
	return err
}

// wrap breaks a text into lines of at most so many characters, between its words.
func wrap(text string, most int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= most:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
