package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

// printForecast prints the forecast of a campaign. The parameter "text" has the notes on the
// campaign's text.
func printForecast(w io.Writer, p console.Screen, f producer.Forecast, text []string, now time.Time) error {
	if err := p.Table(w, forecastTotals(f)); err != nil {
		return err
	}
	if err := section(w, p, accountForecasts(f, now)); err != nil {
		return err
	}
	if len(text) == 0 && f.UCS2 != "" {
		text = []string{f.UCS2}
	}
	var out strings.Builder
	block := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&out, "\n%s:\n", title)
		for _, line := range lines {
			for _, part := range console.Wrap(line, p.Width-2) {
				fmt.Fprintf(&out, "  %s\n", part)
			}
		}
	}
	block("text", text)
	block("schedule", scheduleLines(f, now))
	block("samples", sampleLines(f))
	block("credit", creditLines(f))
	block("not known", f.Unknown)
	_, err := io.WriteString(w, out.String())
	return err
}

// section prints an empty line and a table. It prints nothing if the table has no rows.
func section(w io.Writer, p console.Screen, g console.Table) error {
	if len(g.Rows) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return err
	}
	return p.Table(w, g)
}

// forecastTotals returns the table of the whole campaign.
func forecastTotals(f producer.Forecast) console.Table {
	g := console.Table{Right: []int{1}}
	g.Add("recipients", console.FormatInt(f.Total), "")
	g.Add("would be sent", console.FormatInt(f.Sent), console.Tally(byCountry(f.Countries)))
	g.Add("skipped", console.FormatInt(f.Skipped), "")
	for _, reason := range slices.Sorted(maps.Keys(f.Reasons)) {
		detail := ""
		switch {
		case reason == "invalid_number":
			detail = console.Tally(f.Invalid)
		case reason == "duplicate" && f.OtherText > 0:
			detail = console.FormatInt(f.OtherText) + " have another text; --duplicates each also sends these texts"
		}
		g.Add("  "+reason, console.FormatInt(f.Reasons[reason]), detail)
	}
	if f.Calls != nil {
		g.Add("calls", console.FormatInt(*f.Calls), "")
	} else {
		g.Add("calls", "?", "")
	}
	g.Add("segments", console.FormatInt(f.Segments), segmentSummary(f))
	if f.Cost != "" {
		g.Add("cost", formatAmounts(f.Cost), "by the accounts' configured price")
	}
	return g
}

// byCountry returns the counts by country. Numbers whose country is not known are counted under the
// name "elsewhere".
func byCountry(countries map[string]int) map[string]int {
	out := maps.Clone(countries)
	if n := out[""]; n > 0 {
		delete(out, "")
		out["elsewhere"] = n
	}
	return out
}

// segmentSummary describes how many segments the messages have.
func segmentSummary(f producer.Forecast) string {
	if len(f.Spread) < 2 {
		return fmt.Sprintf("%d per message, %s", f.SegmentsEach, f.Encoding)
	}
	var parts []string
	for _, l := range slices.Backward(f.Spread) {
		parts = append(parts, fmt.Sprintf("%s with %d %s", console.FormatInt(l.Messages), l.Segments, l.Encoding))
	}
	return strings.Join(parts, ", ")
}

// accountForecasts returns the table with one row for each account.
func accountForecasts(f producer.Forecast, now time.Time) console.Table {
	g := console.Table{Header: []string{"account", "recipients", "calls", "segments", "cost", "balance", "rate"}, Right: []int{1, 2, 3, 4}}
	for _, a := range f.Accounts {
		if a.Account == "" {
			continue
		}
		calls, balance, rate := "?", "not known", "?"
		if a.Calls != nil {
			if calls, rate = console.FormatInt(*a.Calls), "unlimited"; a.Rate > 0 {
				rate = console.FormatRate(a.Rate)
			}
			if a.Rate > 0 && a.Unit != worker.UnitMessages {
				rate += " " + a.Unit
			}
		}
		if a.Balance != "" {
			if balance = a.Balance; a.BalanceAt != nil && now.Sub(*a.BalanceAt) > time.Second {
				balance += " (" + console.FormatDuration(now.Sub(*a.BalanceAt)) + " ago)"
			}
		}
		if a.Held != "" {
			rate += ", on hold: " + a.Held
		}
		g.Add(a.Account, console.FormatInt(a.Recipients), calls, console.FormatInt(a.Segments), formatAmounts(a.Cost), balance, rate)
	}
	return g
}

// formatAmounts adds thousands separators to amounts such as "1234567.80 KES".
func formatAmounts(cost string) string {
	words := strings.Fields(cost)
	for i, w := range words {
		if n, ok := console.ParseAmount(w); ok {
			words[i] = n.String()
		}
	}
	return strings.Join(words, " ")
}

// creditLines returns the credit warnings of the accounts that have a warning.
func creditLines(f producer.Forecast) (lines []string) {
	for _, a := range f.Accounts {
		if a.Credit != nil {
			lines = append(lines, a.Credit.Warning)
		}
	}
	return lines
}

// sampleBody is the maximum length of a sample message in the output, in characters.
const sampleBody = 300

// sampleLines returns one line for each sample message. The phone number in it is masked.
func sampleLines(f producer.Forecast) (lines []string) {
	for _, x := range f.Samples {
		lines = append(lines, fmt.Sprintf("line %s, %s, %s: %s", console.FormatInt(cmp.Or(x.Line, x.Row)), sms.Mask(x.MSISDN), console.Plural(x.Segments, "segment"), console.WithoutControls(x.Body, sampleBody)))
	}
	return lines
}
