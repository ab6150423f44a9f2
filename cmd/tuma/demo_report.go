package main

import (
	"errors"
	"fmt"

	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// errDemo: what is promised was not kept.
var errDemo = errors.New("demo failed")

// report prints what came of the campaign, by the ledger and by the gateway's own
// count, and errs if they tell of a message sent twice or a recipient lost.
func (d *demo) report(st producer.Status) error {
	gateway := d.gateway.Stats()
	lost, strangers, err := d.compare()
	if err != nil {
		return err
	}
	took := d.now().Sub(d.began)
	g := grid{right: []int{1}}
	g.add("recipients", formatInt(st.Total), "")
	g.add("  accepted", formatInt(st.Accepted), "")
	g.add("  skipped", formatInt(st.Skipped), tally(st.Reasons))
	for name, n := range map[string]int{"  rejected": st.Rejected, "  unknown": st.Unknown, "  pending": st.Pending} {
		if n > 0 {
			g.add(name, formatInt(n), "")
		}
	}
	g.add("calls", formatInt(st.Calls), fmt.Sprintf("at most %d recipients each", demoPerCall))
	g.add("requests", formatInt(int(gateway.Calls)), plural(int(gateway.Replays), "repeat")+" that the gateway knew by their key")
	g.add("at the gateway", formatInt(int(gateway.Accepted)), "by its own count")
	g.add("  duplicates", formatInt(int(gateway.Duplicates)), "")
	g.add("  lost", formatInt(lost), "")
	if st.FinishedAt != nil {
		sent := st.FinishedAt.Sub(st.CreatedAt).Seconds()
		g.add("rate", formatRate(float64(st.Accepted)/max(sent, 0.001)), "over all, the kill included")
	}
	switch {
	case d.killed.IsZero():
		g.add("recovery", "", "no worker was killed: the campaign was through too quickly")
	case d.recovered.IsZero():
		g.add("recovery", "", "the dead worker had nothing at the gateway")
	default:
		g.add("recovery", fmt.Sprintf("%.1fs", d.recovered.Sub(d.killed).Seconds()), "from kill -9 until the dead worker's calls were settled")
	}
	g.add("took", fmt.Sprintf("%.1fs", took.Seconds()), "start and all")
	if _, err := fmt.Fprintln(d.out); err != nil {
		return err
	}
	if err := g.print(d.out); err != nil {
		return err
	}
	return d.verdict(st, gateway, lost, strangers)
}

// compare reads the list once more by itself, and looks every good number up in
// the gateway's book: how many are not there, and how many there are not in the list.
func (d *demo) compare() (lost, strangers int, err error) {
	expected := map[sms.MSISDN]bool{}
	for r, err := range demoList().All() {
		if err != nil {
			return 0, 0, err
		}
		if number, err := sms.ParseMSISDN(r.Number, "KE"); err == nil {
			expected[number] = true
		}
	}
	for number := range expected {
		if d.gateway.Accepted(uint64(number)) == 0 {
			lost++
		}
	}
	for number := range d.gateway.AllAccepted() {
		if !expected[sms.MSISDN(number)] {
			strangers++
		}
	}
	return lost, strangers, nil
}

func (d *demo) verdict(st producer.Status, gateway sandbox.Stats, lost, strangers int) error {
	var errs []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{errDemo}, args...)...))
		}
	}
	sum := st.Pending + st.Accepted + st.Delivered + st.Undelivered + st.Rejected + st.Unknown + st.Skipped
	wrong(gateway.Duplicates > 0, "%d messages went out twice", gateway.Duplicates)
	wrong(gateway.Conflicts > 0, "%d keys stood for two different calls", gateway.Conflicts)
	wrong(lost > 0, "%d recipients got nothing", lost)
	wrong(strangers > 0, "%d numbers got a message that are not in the list", strangers)
	wrong(sum != st.Total || st.Pending > 0, "%d recipients, and %d with a status at the end", st.Total, sum-st.Pending)
	wrong(int64(st.Accepted) != gateway.Accepted, "the ledger says %d accepted, the gateway %d", st.Accepted, gateway.Accepted)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	_, err := fmt.Fprintln(d.out, "\nEvery recipient has one status; nothing was sent twice, nothing was lost.")
	return err
}
