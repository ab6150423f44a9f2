package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/report"
)

// screen returns the properties of standard output.
func (a *app) screen() console.Screen { return console.NewScreen(a.out, a.lookup) }

// Maximum numbers of rows in the tables of a report.
const (
	shownReasons   = 10
	shownCodes     = 5
	shownAccounts  = 10
	shownCountries = 8
	shownCosts     = 4
)

// print prints the report as text.
func (r *campaignReport) print(w io.Writer, p console.Screen) error {
	section := func(write func(io.Writer) error) error {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		return write(w)
	}
	end := fmt.Sprintf(": %s, %s", r.State, console.Plural(r.Recipients, "recipient"))
	_, err := fmt.Fprintln(w, p.CutMiddle(r.ID, len(end))+end)
	errs := []error{err, p.Table(w, contentTable(r.content)), section(func(w io.Writer) error { return p.Table(w, r.figures(p)) })}
	for _, g := range []console.Table{r.statusTable(p), r.reasonTable(), r.codeTable(), groupTable("account", r.Accounts, shownAccounts, 2),
		groupTable("country", r.Countries, shownCountries, 1)} {
		if len(g.Rows) > 0 {
			errs = append(errs, section(func(w io.Writer) error { return p.Table(w, g) }))
		}
	}
	if r.Seconds >= 1 {
		errs = append(errs, section(func(w io.Writer) error { return printChart(w, p, "recipients", r.Times()) }))
	}
	delivered := r.Deliveries()
	if delivered.Last().Sub(delivered.First()) >= time.Second {
		errs = append(errs, section(func(w io.Writer) error { return printChart(w, p, "deliveries", delivered) }))
	}
	if len(r.Next) > 0 {
		errs = append(errs, section(func(w io.Writer) error { return r.printNext(w, p) }))
	}
	return errors.Join(errs...)
}

// figures returns the table with the figures of the whole campaign.
func (r *campaignReport) figures(p console.Screen) console.Table {
	g := console.Table{Right: []int{1}}
	if r.Calls > 0 {
		g.Add("calls", console.FormatInt(r.Calls), "")
		g.Add("segments", console.FormatInt(r.Segments), "of accepted messages")
	}
	for i, c := range r.Cost {
		if i == shownCosts {
			g.Add("cost", "", fmt.Sprintf("and %d more currencies", len(r.Cost)-i))
			break
		}
		g.Add("cost", strings.TrimSpace(c.Amount.String()+" "+c.Currency), "gateways reported this cost for "+console.Plural(c.Messages, "message"))
	}
	for _, c := range r.Estimate {
		g.Add("estimate", c.Amount.String()+" "+c.Currency, "by the accounts' configured price, for "+console.Plural(c.Messages, "message"))
	}
	if r.OptedOut > 0 {
		g.Add("opted out", console.FormatInt(r.OptedOut), "")
	}
	if r.Began != nil {
		g.Add("sent in", console.FormatDuration(r.Ended.Sub(*r.Began)), p.Time(*r.Began)+" to "+p.Time(*r.Ended))
		if r.Seconds >= 1 {
			g.Add("rate", console.FormatRate(r.Rate), "on average; the peak was "+console.FormatRate(r.Busiest))
		}
	}
	if x := r.Reports; x != nil {
		of := "delivery reports, of " + console.FormatInt(x.Expected) + " expected"
		if x.Sampled {
			of = "delivery reports of a sample of " + console.FormatInt(x.Expected)
		}
		g.Add("reports", console.FormatInt(x.Final), of)
		if x.Rate != nil {
			g.Add("delivered", fmt.Sprintf("%.1f %%", 100**x.Rate), deliveryDetail(x))
		}
	}
	return g
}

// statusOrder is the order in which statuses are printed.
var statusOrder = []string{"pending", "accepted", "delivered", "undelivered", "rejected", "unknown", "skipped"}

// statusTable returns the table of the number of recipients with each status. Each row ends with a bar.
func (r *campaignReport) statusTable(p console.Screen) console.Table {
	g := console.Table{Header: []string{"status", "recipients", "share"}, Right: []int{1, 2}, Drop: []int{3}}
	most := 0
	for _, n := range r.Statuses {
		most = max(most, n)
	}
	width := max(min(p.Width-40, 40), 10)
	for _, s := range statusOrder {
		if n := r.Statuses[s]; n > 0 {
			g.Add(s, console.FormatInt(n), console.Share(n, r.Recipients), console.Bar(n, most, width, p.Unicode))
		}
	}
	if len(g.Rows) > 0 {
		g.Header = append(g.Header, "")
	}
	return g
}

// reasonTable returns the most frequent reasons.
func (r *campaignReport) reasonTable() console.Table {
	g := console.Table{Header: []string{"reason", "status", "recipients"}, Right: []int{2}}
	for i, x := range r.Reasons {
		if i == shownReasons {
			g.Add(fmt.Sprintf("and %d more", len(r.Reasons)-i), "", "")
			break
		}
		g.Add(x.Reason, x.Status, console.FormatInt(x.Recipients))
	}
	return g
}

// codeTable returns the most frequent codes of gateways.
func (r *campaignReport) codeTable() console.Table {
	g := console.Table{Header: []string{"code", "status", "account", "recipients"}, Right: []int{3}}
	for i, x := range r.Codes {
		if i == shownCodes {
			g.Add(fmt.Sprintf("and %d more", len(r.Codes)-i), "", "", "")
			break
		}
		g.Add(console.WithoutControls(x.Code, 30), x.Status, x.Account, console.FormatInt(x.Recipients))
	}
	return g
}

// groupTable returns the recipients of each group by status. It leaves out a status that no
// recipient has. The table shows the first maxShown groups and sums up the others. It has no
// rows if there are fewer than minGroups groups.
func groupTable(what string, groups []report.Group, maxShown, minGroups int) console.Table {
	g := console.Table{Header: []string{what, "recipients"}, Right: []int{1}}
	if len(groups) < minGroups {
		return g
	}
	var statuses []string
	for _, s := range statusOrder {
		for _, x := range groups {
			if x.Statuses[s] > 0 {
				statuses = append(statuses, s)
				g.Right = append(g.Right, len(g.Header))
				g.Header = append(g.Header, s)
				break
			}
		}
	}
	line := func(name string, n int, byStatus map[string]int) {
		cells := []string{name, console.FormatInt(n)}
		for _, s := range statuses {
			cells = append(cells, console.FormatInt(byStatus[s]))
		}
		g.Add(cells...)
	}
	rest := report.Group{Statuses: map[string]int{}}
	for i, x := range groups {
		if i < maxShown || len(groups) == maxShown+1 {
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
		line(fmt.Sprintf("%d more", len(groups)-maxShown), rest.Recipients, rest.Statuses)
	}
	return g
}

// printChart prints the rate over time as a chart.
func printChart(w io.Writer, p console.Screen, what string, times console.Timeline) error {
	// The scale is to the left of the bars and needs 14 characters.
	columns := max(min(p.Width-14, 100), 20)
	c, g := times.Chart(columns), console.PlainGlyphs
	if p.Unicode {
		g = console.BlockGlyphs
	}
	zone := "UTC"
	if p.Terminal && p.Zone != nil {
		c.From = c.From.In(p.Zone)
		zone = c.From.Format("MST")
	}
	_, err := fmt.Fprintf(w, "%s per second, one column per %s, times in %s\n", what, span(c.Each), zone)
	return errors.Join(err, c.Print(w, g, columns))
}

// span formats a duration. It leaves out zero minutes and zero seconds at the end, as in
// "1h" and "5m".
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
func (r *campaignReport) printNext(w io.Writer, p console.Screen) error {
	text := "next steps:\n"
	for _, x := range r.Next {
		if x.Command != "" {
			x.Why += ":"
		}
		for _, line := range console.Wrap(x.Why, p.Width-2) {
			text += "  " + line + "\n"
		}
		if x.Command != "" {
			text += "    " + x.Command + "\n"
		}
	}
	_, err := io.WriteString(w, text)
	return err
}
