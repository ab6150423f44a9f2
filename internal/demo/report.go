package demo

import (
	"errors"
	"fmt"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// errFailed is returned if a message was sent twice or a recipient was lost.
var errFailed = errors.New("demo failed")

// The method "report" prints the outcome of the campaign, from the ledger and from the gateway's
// own counts. It returns an error if a message was sent twice or a recipient was lost.
func (d *demo) report(st producer.Status) error {
	gateway := d.gateway.Stats()
	lost, strangers, err := d.compare()
	if err != nil {
		return err
	}
	took := d.Now().Sub(d.began)
	g := console.Table{Right: []int{1}}
	g.Add("recipients", console.FormatInt(st.Total), "")
	g.Add("  accepted", console.FormatInt(st.Accepted), "")
	g.Add("  skipped", console.FormatInt(st.Skipped), console.Tally(st.Reasons))
	for name, n := range map[string]int{"  rejected": st.Rejected, "  unknown": st.Unknown, "  pending": st.Pending} {
		if n > 0 {
			g.Add(name, console.FormatInt(n), "")
		}
	}
	g.Add("calls", console.FormatInt(st.Calls), fmt.Sprintf("at most %d recipients each", perCall))
	g.Add("requests", console.FormatInt(int(gateway.Calls)), console.Plural(int(gateway.Replays), "repeat")+" recognised by idempotency key")
	g.Add("at the gateway", console.FormatInt(int(gateway.Accepted)), "messages that the gateway has accepted, by its own count")
	g.Add("  duplicates", console.FormatInt(int(gateway.Duplicates)), "")
	g.Add("  lost", console.FormatInt(lost), "")
	if st.FinishedAt != nil {
		sent := st.FinishedAt.Sub(st.CreatedAt).Seconds()
		g.Add("rate", console.FormatRate(float64(st.Accepted)/max(sent, 0.001)), "accepted messages, on average over the whole campaign")
	}
	switch {
	case d.killed.IsZero():
		g.Add("recovery", "", "no worker was killed: the campaign ended too early")
	case d.recovered.IsZero():
		g.Add("recovery", "", "the killed worker had no calls in flight")
	default:
		g.Add("recovery", fmt.Sprintf("%.1fs", d.recovered.Sub(d.killed).Seconds()), "from kill -9 until the killed worker's calls were settled")
	}
	g.Add("took", fmt.Sprintf("%.1fs", took.Seconds()), "in total")
	if _, err := fmt.Fprintln(d.Out); err != nil {
		return err
	}
	if err := g.Print(d.Out); err != nil {
		return err
	}
	return d.verdict(st, gateway, lost, strangers)
}

// The method "compare" reads the recipient list again, and compares its valid numbers with the numbers
// that the gateway accepted. The result "lost" counts numbers that are missing at the gateway. The
// result "strangers" counts numbers at the gateway that are not in the list.
func (d *demo) compare() (lost, strangers int, err error) {
	expected := map[sms.MSISDN]bool{}
	for r, err := range list().All() {
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

// The method "verdict" prints that no message was lost or sent twice, or returns an error for each
// promise that the run violated.
func (d *demo) verdict(st producer.Status, gateway simulator.Stats, lost, strangers int) error {
	var errs []error
	wrong := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{errFailed}, args...)...))
		}
	}
	sum := st.Pending + st.Accepted + st.Delivered + st.Undelivered + st.Rejected + st.Unknown + st.Skipped
	wrong(gateway.Duplicates > 0, "%d messages were sent twice", gateway.Duplicates)
	wrong(gateway.Conflicts > 0, "%d calls had the idempotency key of an earlier call with other contents", gateway.Conflicts)
	wrong(lost > 0, "%d recipients did not get the message", lost)
	wrong(strangers > 0, "%d numbers that are not in the list got a message", strangers)
	wrong(sum != st.Total || st.Pending > 0, "of %d recipients only %d have a final status", st.Total, sum-st.Pending)
	wrong(int64(st.Accepted) != gateway.Accepted, "the ledger counts %d accepted messages, but the gateway counts %d", st.Accepted, gateway.Accepted)
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	_, err := fmt.Fprintln(d.Out, "\nEvery recipient has exactly one status. No message was sent twice, and no message was lost.")
	return err
}
