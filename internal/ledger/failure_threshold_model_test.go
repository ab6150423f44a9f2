package ledger

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// modelThreshold is the expected state of a campaign's failure threshold and canary. It is nil
// for a campaign without threshold and canary.
type modelThreshold struct {
	percent            float64
	enough, span       int
	baseEnded, baseBad int
	canary, planned    int
	leftOut            int
	phase              string          // of the canary: "p" while planning may still add messages, "s" once it is planned, "-" if it is over or does not exist
	batches            map[string]bool // names of the canary's batches; the names stay here when the canary is over
	tooMany            bool            // the campaign is paused because it exceeded the threshold
	closed             bool            // the threshold was checked at the end of the canary
	placed             int             // number of recipients that planning did not skip
}

// beyond reports whether a batch must wait for the canary.
func (x *modelThreshold) beyond(batch string) bool {
	return x != nil && x.phase != "-" && !x.batches[batch]
}

// The method "place" counts a recipient that planning did not skip. It reports whether this recipient
// is the last recipient of the canary.
func (x *modelThreshold) place() bool {
	if x == nil {
		return false
	}
	x.placed++
	return x.placed == x.canary
}

// The method "plan" records a planned page, and its batches in order.
func (x *modelThreshold) plan(leftOut int, batches []campaign.PlannedBatch, names []string, last bool) {
	if x == nil || x.phase == "-" {
		return
	}
	x.leftOut += leftOut
	for i, b := range batches {
		if x.phase != "p" {
			break
		}
		x.batches[names[i]] = true
		if x.planned += len(b.To); x.planned >= x.canary {
			x.phase = "s"
		}
	}
	if last {
		x.phase = "s"
	}
}

func (x *modelThreshold) tryAgain(n int) {
	if x != nil {
		n = min(n, x.baseBad)
		x.baseEnded, x.baseBad = x.baseEnded-n, x.baseBad-n
	}
}

// soFar returns how many recipients have finished, and how many of them are rejected or unknown.
func (m *model) soFar() (ended, bad int) {
	for _, r := range m.rows {
		s, _ := m.shown(r)
		if s != campaign.Pending && s != campaign.Skipped {
			ended++
		}
		if s == campaign.Rejected || s == campaign.Unknown {
			bad++
		}
	}
	return ended, bad
}

func (m *model) judge() {
	x := m.threshold
	if x == nil || m.stop != "" || x.tooMany {
		return
	}
	ended, bad := m.soFar()
	canary := x.phase != "-"
	if canary {
		if x.phase != "s" || len(m.rows)-m.pending()-x.leftOut < x.planned {
			return
		}
		x.phase, x.closed = "-", true
	} else {
		x.baseBad = min(x.baseBad, bad)
		ended, bad = ended-x.baseEnded, bad-x.baseBad
		if ended < x.enough {
			return
		}
	}
	switch {
	case float64(bad)*100 > x.percent*float64(ended):
		if m.pending() > 0 {
			m.paused, x.tooMany = true, true
		}
	case ended >= x.span:
		x.baseEnded, x.baseBad = x.baseEnded+ended, x.baseBad+bad
	}
}

// resume does what an operator's resume does: the count for the threshold restarts.
func (m *model) resume() {
	if m.threshold != nil && m.threshold.tooMany {
		m.threshold.baseEnded, m.threshold.baseBad = m.soFar()
		m.threshold.tooMany = false
	}
	m.paused = false
}

// drawThreshold draws a failure threshold and a canary for the campaign.
func (d *sequenceDriver) drawThreshold(spec *campaign.Spec) {
	d.l.thresholdSample, d.l.thresholdSpan = 1+d.draw(6, "sample"), 6+d.draw(6, "span")
	if d.chance(2, "no limit") {
		return
	}
	if !d.chance(3, "no canary") {
		spec.Canary = 1 + d.draw(9, "canary")
	}
	spec.MaxRejected = []float64{0, 1, 33.3, 50, 100}[d.draw(5, "limit")]
	if spec.FailureThreshold() == 0 {
		return
	}
	d.m.threshold = &modelThreshold{percent: spec.FailureThreshold(), enough: d.l.thresholdSample, span: d.l.thresholdSpan, canary: spec.Canary, phase: "-", batches: map[string]bool{}}
	if spec.Canary > 0 {
		d.m.threshold.phase = "p"
	}
}

// origin returns the batch in which the recipients of a batch were planned.
func (d *sequenceDriver) origin(batch string) string {
	for from, to := range d.m.moved {
		for _, b := range to {
			if b == batch {
				return d.origin(from)
			}
		}
	}
	return batch
}

// checkThreshold checks the canary. While the canary is open, no message outside the canary may be
// sent. Once all messages of the canary have ended, the canary must be closed.
func (d *sequenceDriver) checkThreshold(sum Summary) {
	x := d.m.threshold
	if x == nil {
		return
	}
	want := 0
	switch x.phase {
	case "p":
		want = x.canary
	case "s":
		want = x.planned
	}
	if d.m.stop == "" && sum.Canary != want {
		d.rt.Errorf("the canary is %d, want %d", sum.Canary, want)
	}
	if d.m.stop == "" && (sum.TooManyRejected != nil) != x.tooMany {
		d.rt.Errorf("TooManyRejected is %+v, want it set: %t", sum.TooManyRejected, x.tooMany)
	}
	if t := sum.TooManyRejected; t != nil && float64(t.Bad)*100 <= x.percent*float64(t.Ended) {
		d.rt.Errorf("paused for %+v, which is within the threshold of %g %%", t, x.percent)
	}
	if d.forgot {
		return
	}
	if x.closed {
		x.closed = false
		for i, r := range d.m.rows {
			if r.status == campaign.Pending && r.left == "" && r.call != "" && x.batches[d.origin(batchOf(r.call))] {
				d.rt.Errorf("the canary is over, but its row %d is pending", i+1)
			}
		}
	}
	if x.phase != "-" {
		for i, r := range d.m.rows {
			if r.status != campaign.Pending && r.call != "" && !x.batches[d.origin(batchOf(r.call))] {
				d.rt.Errorf("row %d was sent to before the canary was over", i+1)
			}
		}
	}
}

func batchOf(call string) string { return call[:strings.LastIndexByte(call, '.')] }

// adoptThreshold copies the ledger's threshold state into the model. The driver calls it
// after a settle whose recipients are in several batches, because the ledger checks the threshold
// after each batch.
func (d *sequenceDriver) adoptThreshold() {
	x := d.m.threshold
	if x == nil {
		return
	}
	sum, err := d.l.Summary(d.ctx, d.id)
	d.ok(err)
	lim, err := d.rdb.HGet(d.ctx, ledgerKey(d.id), "lim").Result()
	d.ok(err)
	w := strings.Fields(lim)
	x.baseEnded, _ = strconv.Atoi(w[3])
	x.baseBad, _ = strconv.Atoi(w[4])
	if x.phase != w[8] {
		x.phase, x.closed = w[8], true
	}
	if x.tooMany = sum.TooManyRejected != nil; x.tooMany {
		d.m.paused = true
	}
	if fmt.Sprintf("%g", x.percent) != w[0] {
		d.rt.Fatalf("the threshold is %s, want %g", w[0], x.percent)
	}
}
