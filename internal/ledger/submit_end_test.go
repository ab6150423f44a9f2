package ledger

import (
	"context"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
)

func (d *sequenceDriver) later(what string, do func()) { d.ends = append(d.ends, claimEnd{what, do}) }

func (d *sequenceDriver) settleLater(what string, r generationRead, call string, c *Claim, records []campaign.Record, reason campaign.SettleReason, retryIn time.Duration) {
	records = slices.Clone(records)
	for i := range records {
		if records[i].Status == campaign.Accepted && records[i].Reason == "" {
			records[i].Cost, records[i].Currency = "0.80", "KES"
		}
		if records[i].Status == campaign.Pending && d.chance(4, "for longer") {
			records[i].RetryIn = []time.Duration{0, 2 * time.Hour, 26 * time.Hour}[d.draw(3, "how long")]
		}
	}
	d.later(what, func() {
		if reason != campaign.SettleAnswer || !d.chance(2, "and the next") || !d.settleAndClaim(r, call, c, records) {
			d.settleNow(call, r, c, records, reason, retryIn)
		}
	})
}

func (d *sequenceDriver) settleNow(call string, r generationRead, c *Claim, records []campaign.Record, reason campaign.SettleReason, retryIn time.Duration) {
	list, rows := d.places(r)
	d.rt.Logf("  settle %s.%d by %s: %s %v", call, r.gen.Number, c.Token, reason, records)
	out, err := d.l.Settle(d.ctx, c, records, reason, segmentsOf(c.gen.Body), retryIn)
	d.ok(err)
	stale, elsewhere := d.m.settle(modelSettle{call: call, gen: r.gen.Number, token: c.Token, list: list, records: records, reason: reason, retryIn: retryIn,
		resend: c.resend, looks: c.lookupsBefore(), rows: rows, uuid: claimUUID(c)})
	if elsewhere {
		d.adoptThreshold()
	}
	d.ended("settle", out, stale)
}

func (d *sequenceDriver) releaseNow(call string, number int, c *Claim, backOff time.Duration, of ReleaseOf) (stale bool) {
	out, err := d.l.Release(d.ctx, c, backOff, of)
	d.ok(err)
	d.rt.Logf("  release %s.%d by %s as %s: stale %t", call, number, c.Token, of, out.Stale)
	stale = d.m.release(d.m.gens[genKey(call, number)], c.Token, backOff, of)
	d.ended("release", out, stale)
	return stale
}

func (d *sequenceDriver) splitNow(call string, number, first int, c *Claim) {
	split := d.l.Split
	if first > 0 {
		split = func(ctx context.Context, c *Claim) (Settled, error) { return d.l.SplitAfter(ctx, c, first) }
	}
	out, err := split(d.ctx, c)
	d.ok(err)
	d.rt.Logf("  split %s.%d by %s: stale %t", call, number, c.Token, out.Stale)
	d.ended("split", out, d.m.split(d.m.gens[genKey(call, number)], c.Token, first))
}

func (d *sequenceDriver) ended(what string, out Settled, stale bool) {
	if out.Stale != stale {
		d.rt.Fatalf("%s: stale is %t, want %t", what, out.Stale, stale)
	}
	if !stale && out.Done != d.m.fin {
		d.rt.Fatalf("%s: done is %t, want %t", what, out.Done, d.m.fin)
	}
	d.checkWatched(out.Wakes)
}

// The method "end" takes one of the waiting steps that end a claim. Usually it runs this step. Sometimes
// it does not, as if the worker had died. The step may wait again, so that it runs once more later.
func (d *sequenceDriver) end() {
	if len(d.ends) == 0 {
		return
	}
	i := len(d.ends) - 1 - d.draw(min(3, len(d.ends)), "end")
	if d.chance(3, "a late end") {
		i = d.draw(len(d.ends), "end")
	}
	e := d.ends[i]
	if !d.chance(10, "dies") {
		d.rt.Log("end:", e.what)
		e.do()
	}
	if !d.chance(3, "again later") {
		d.ends = slices.Delete(d.ends, i, i+1)
	}
}
