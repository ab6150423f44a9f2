package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// screen describes where output is shown.
type screen struct {
	width int // in characters
	// unicode is true if the output is a terminal that shows lines and block characters.
	unicode bool
}

// screen returns the properties of standard output.
func (a *app) screen() screen {
	return screen{width: terminalWidth(a.out), unicode: isTerminal(a.out) && a.env["TERM"] != "dumb" && a.isUTF8()}
}

// isUTF8 reports whether the locale in the environment uses UTF-8.
func (a *app) isUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := a.env[name]; locale != "" {
			locale = strings.ToLower(locale)
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

// table prints a table, with lines if the screen shows them.
func (p screen) table(w io.Writer, g grid) error {
	switch {
	case len(g.rows) == 0:
		return nil
	case p.unicode:
		return g.draw(w)
	}
	return g.plain(w)
}

// Maximum numbers of rows in the tables of a report.
const (
	shownReasons   = 10
	shownCodes     = 5
	shownAccounts  = 10
	shownCountries = 8
	shownCosts     = 4
)

// print prints the report as text.
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

// figures returns the table of the whole campaign.
func (r *report) figures() grid {
	g := grid{right: []int{1}}
	if r.Calls > 0 {
		g.add("calls", formatInt(r.Calls), "")
		g.add("segments", formatInt(r.Segments), "of accepted messages")
	}
	for i, c := range r.Cost {
		if i == shownCosts {
			g.add("cost", "", fmt.Sprintf("and %d more currencies", len(r.Cost)-i))
			break
		}
		g.add("cost", strings.TrimSpace(c.Amount.String()+" "+c.Currency), "as reported by gateways, for "+plural(c.Messages, "message"))
	}
	for _, c := range r.Estimate {
		g.add("estimate", c.Amount.String()+" "+c.Currency, "by the accounts' configured price, for "+plural(c.Messages, "message"))
	}
	if r.OptedOut > 0 {
		g.add("opted out", formatInt(r.OptedOut), "")
	}
	if r.Began != nil {
		g.add("sent in", formatDuration(r.Ended.Sub(*r.Began)), formatTime(*r.Began)+" to "+formatTime(*r.Ended))
		if r.Seconds >= 1 {
			g.add("rate", formatRate(r.Rate), "on average; the peak was "+formatRate(r.Busiest))
		}
	}
	return g
}

// statusOrder is the order in which statuses are printed.
var statusOrder = []string{"pending", "accepted", "delivered", "undelivered", "rejected", "unknown", "skipped"}

// statusTable returns the recipients by status, with a bar for each.
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

// bar returns a bar for n. The bar for the largest value, most, is width characters long. Each bar
// has at least one character. It consists of block characters if drawn is true.
func bar(n, most, width int, drawn bool) string {
	mark := "#"
	if drawn {
		mark = "█"
	}
	return strings.Repeat(mark, max(1, (n*width+most/2)/max(most, 1)))
}

// share formats n as a percentage of a total.
func share(n, of int) string {
	if n > 0 && n*2000 < of {
		return "<0.1 %"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(of, 1)))
}

// reasonTable returns the most frequent reasons.
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

// codeTable returns the most frequent codes of gateways.
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

// withoutControls replaces control characters in a gateway's text, which may be commands to a
// terminal, and cuts the text to one line no longer than most characters.
func withoutControls(s string, most int) string {
	return oneLine(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s), most)
}

// groupTable returns the recipients of each group by status, without statuses that no recipient
// has. The table shows the first groups, up to most, and sums up the others. It has no rows if
// there are fewer than least groups.
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

// printChart prints the rate over time as a chart.
func (r *report) printChart(w io.Writer, p screen) error {
	// The scale is to the left of the bars and needs 14 characters.
	columns := max(min(p.width-14, 100), 20)
	c, g := r.times.chart(columns), plainGlyphs
	if p.unicode {
		g = blockGlyphs
	}
	_, err := fmt.Fprintf(w, "recipients per second, one column per %s, times in UTC\n", span(c.each))
	return errors.Join(err, c.print(w, g, columns))
}

// span formats a duration without zero minutes and seconds at its end: "1h", "5m".
func span(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// printNext prints the advice.
func (r *report) printNext(w io.Writer, p screen) error {
	text := "next steps:\n"
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

// wrap breaks a text between words into lines no longer than most characters. A longer word gets
// its own line.
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
