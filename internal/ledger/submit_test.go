package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// readBatch reads a batch that is handed out.
func (d *sequenceDriver) readBatch() *Work {
	open, err := d.rdb.ZRange(d.ctx, openKey(d.id), 0, -1).Result()
	d.ok(err)
	open = slices.DeleteFunc(open, func(s string) bool { return s == PlanWork })
	if len(open) == 0 {
		return nil
	}
	w, err := d.l.LoadWork(d.ctx, d.id, open[d.draw(len(open), "batch")])
	d.ok(err)
	for _, g := range w.Open {
		rev, err := strconv.Atoi(g.Revision)
		d.ok(err)
		for _, p := range g.To {
			if want := d.m.body(p.Row); g.Body != want {
				d.rt.Fatalf("call %d of batch %s would send %q to row %d, want %q", g.Call, w.Batch.Name, g.Body, p.Row, want)
			}
		}
		d.read = append(d.read, generationRead{batch: w.Batch.Name, gen: g, rev: rev})
	}
	return w
}

// The method "claim" claims a generation that the worker has read, either just now or long ago.
func (d *sequenceDriver) claim() {
	w := d.readBatch()
	if len(d.read) == 0 {
		return
	}
	r := d.read[len(d.read)-1-d.draw(min(len(d.read), 4), "reading")]
	if d.chance(6, "an old reading") {
		r = d.read[d.draw(len(d.read), "reading")]
	}
	wake := 0
	stale := false
	if w != nil && w.Batch.Name == r.batch && d.chance(8, "a stale wake") && w.Wake > 1 {
		wake, stale = w.Wake-1, true
	}
	lease := []time.Duration{lapsed, time.Hour}[d.draw(2, "lease")]
	d.tryClaim(r, wake, stale, lease)
}

func (d *sequenceDriver) tryClaim(r generationRead, wake int, stale bool, lease time.Duration) *Claim {
	version, narrowed := d.excludeOptOuts(r, d.m.gens[genKey(r.batch+"."+strconv.Itoa(r.gen.Call), r.gen.Number)])
	if narrowed {
		return nil
	}
	x := d.request(r, wake, stale, lease, version)
	a, call, mg, login, req := x.account, x.call, x.gen, x.login, x.ClaimRequest
	was := "?"
	if mg != nil {
		was = mg.state
	}
	c, err := d.l.Claim(d.ctx, req)
	d.ok(err)
	d.rt.Logf("claim %s.%d rev %d login %s wake %d lease %v by %s: %s %s", call, r.gen.Number, r.rev, login, wake, lease, c.Token, c.Result, c.Why)
	want, why := d.m.claim(mg, x.model(d, c))
	if c.Result != want || c.Why != why {
		d.rt.Fatalf("claim of %s.%d (state %s) got %q %q, want %q %q", call, r.gen.Number, was, c.Result, c.Why, want, why)
	}
	switch {
	case c.Result == ClaimExcluded:
		d.ok(d.opts.Read(d.ctx, d.l, d.id))
	case c.Result == ClaimGranted:
		d.checkNoOptOut(r, was)
		d.submit(r, call, a, mg, c, login)
	case c.Result == ClaimClosed:
		if at := c.Until; !at.Equal(req.Open[0].From.Truncate(time.Millisecond)) && !at.Equal(req.Open[0].Until.Truncate(time.Millisecond)) {
			d.rt.Fatalf("the claim is closed until %s, want the start or end of the first span of %v", at, req.Open)
		}
	case c.Result == ClaimDoubtful || c.Result == ClaimStopped && c.Doubt:
		d.giveUp(r, call, c)
	}
	return c
}

// checkNoOptOut fails if a call that is claimed for the first time has a recipient that had opted
// out before the claim.
func (d *sequenceDriver) checkNoOptOut(r generationRead, was string) {
	for _, p := range r.gen.To {
		if d.m.excluded[p.Row] && was == "r" {
			d.rt.Fatalf("row %d has opted out, but a call to it was claimed", p.Row)
		}
	}
}

// A request is a worker's claim request, together with the data that the model needs for it.
type request struct {
	ClaimRequest
	generationRead
	account       int
	call, login   string
	gen           *modelGen
	stale, closed bool
}

func (d *sequenceDriver) request(r generationRead, wake int, stale bool, lease time.Duration, version string) request {
	a, err := campaign.BatchStream(r.batch)
	d.ok(err)
	call := r.batch + "." + strconv.Itoa(r.gen.Call)
	login := "one"
	if d.chance(6, "another login") {
		login = "two"
	}
	named := login
	if d.chance(6, "another sender") {
		named += " two" // the worker would compute another key now, but a repeated call must use the stored key
	}
	req := ClaimRequest{ID: d.id, Batch: r.batch, Wake: wake, Gen: r.gen, IdempotencyKey: requestID(r.batch, r.gen, named), Login: login,
		KeyTTL: []time.Duration{keyed, noKey}[a], Lease: lease, OpenBatchLimit: 1 + d.draw(3, "window"), Resend: d.resend && a == 1, Exclusions: version, NameRecipients: d.chance(2, "recipients named")}
	closed := false
	switch d.draw(8, "sending hours") {
	case 0:
		req.Open, closed = []Span{{From: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour)}}, true
	case 1:
		req.Open, closed = []Span{{From: time.Now().Add(-time.Hour), Until: time.Now().Add(-time.Second)}}, true
	case 2:
		req.Open = []Span{{From: time.Unix(1, 0), Until: time.Unix(2, 0)}, {From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)}}
	}
	return request{ClaimRequest: req, generationRead: r, account: a, call: call, login: login, gen: d.m.gens[genKey(call, r.gen.Number)], stale: stale, closed: closed}
}

// model converts the request for the model.
func (x request) model(d *sequenceDriver, c *Claim) modelClaim {
	var rows []int
	for _, p := range x.ClaimRequest.Gen.To {
		if x.NameRecipients {
			rows = append(rows, p.Row)
		}
	}
	return modelClaim{rows: rows, token: c.Token, uuid: x.IdempotencyKey.String(), login: x.login, rev: x.rev, keyLife: x.KeyTTL, lease: x.Lease, staleWake: x.stale, closed: x.closed, version: x.Exclusions,
		origin: d.origin(x.ClaimRequest.Batch), ghost: d.m.calls[x.call] == nil && x.ClaimRequest.Gen.Number == 0}
}

// settleAndClaim settles a claim and claims another call of its batch in one step, if the ledger
// can do both in one step. The result must be the same as with two steps.
func (d *sequenceDriver) settleAndClaim(r generationRead, call string, c *Claim, records []campaign.Record) bool {
	w, err := d.l.LoadWork(d.ctx, d.id, r.batch)
	if errors.Is(err, ErrNotFound) {
		return false // Redis has lost the batch, so there is nothing to claim
	}
	d.ok(err)
	var other []generationRead
	for _, x := range d.read {
		if x.batch == r.batch {
			other = append(other, x)
		}
	}
	for _, g := range w.Open {
		rev, err := strconv.Atoi(g.Revision)
		d.ok(err)
		other = append(other, generationRead{r.batch, g, rev})
	}
	if len(other) == 0 {
		return false
	}
	to := other[len(other)-1-d.draw(min(len(other), 4), "next")]
	wake, stale := w.Wake, false
	if d.chance(8, "a stale wake") && wake > 1 {
		wake, stale = wake-1, true
	}
	optedOut, version, _ := d.opts.In(to.gen.To)
	if len(optedOut) > 0 {
		return false // a worker removes opted-out recipients before it claims
	}
	x := d.request(to, wake, stale, []time.Duration{lapsed, time.Hour}[d.draw(2, "lease")], version)
	next, ok, err := d.l.SettleAndClaim(d.ctx, c, records, segmentsOf(c.gen.Body), x.ClaimRequest)
	d.ok(err)
	d.rt.Logf("next after %s.%d by %s: %s by %s: %t", call, r.gen.Number, c.Token, x.call, next.Token, ok)
	if !ok {
		return false
	}
	list, rows := d.places(r)
	stale, elsewhere := d.m.settle(modelSettle{call: call, gen: r.gen.Number, token: c.Token, list: list, records: records, reason: campaign.SettleAnswer, rows: rows, uuid: claimUUID(c)})
	if stale || elsewhere || d.m.fin {
		d.rt.Fatalf("SettleAndClaim settled a claim that the model refuses, or the campaign ended (%t)", d.m.fin)
	}
	if want, _ := d.m.claim(x.gen, x.model(d, next)); want != ClaimGranted || next.Result != ClaimGranted {
		d.rt.Fatalf("the next claim got %q, want %q", next.Result, want)
	}
	d.checkNoOptOut(to, "r")
	d.submit(to, x.call, x.account, x.gen, next, x.login)
	return true
}

// The method "places" returns the positions in the call, and the rows, of the recipients of the generation that
// was read.
func (d *sequenceDriver) places(r generationRead) (list, rows []int) {
	list, rows = make([]int, len(r.gen.To)), make([]int, len(r.gen.To))
	for i := range list {
		list[i], rows[i] = i, r.gen.To[i].Row
		if p := r.gen.positions; p != "" {
			list[i] = int(binary.BigEndian.Uint16([]byte(p[2*i:])))
		}
	}
	return list, rows
}

// giveUp is a worker's decision not to submit a doubtful generation again. The worker may first
// look for the generation's messages at the gateway, which may list the messages that it has
// accepted. Recipients that the worker does not find end unknown.
func (d *sequenceDriver) giveUp(r generationRead, call string, c *Claim) {
	if c.Result == ClaimDoubtful && d.chance(2, "look") {
		records := repeat(len(r.gen.To), unknown(c.Why))
		mg := d.m.gens[genKey(call, r.gen.Number)]
		for i, p := range r.gen.To {
			if was := d.gw.known[mg.login+mg.uuid][p.Row]; was.Status == campaign.Accepted && d.chance(2, "found") {
				records[i] = campaign.Record{Status: campaign.Accepted, MessageID: was.MessageID, Reason: campaign.ReasonReconciled}
			}
		}
		reason := []campaign.SettleReason{campaign.SettleLookup, campaign.SettleAbandon}[d.draw(2, "the last lookup")]
		d.settleLater("look", r, call, c, records, reason, []time.Duration{0, 2 * time.Hour}[d.draw(2, "next look")])
		return
	}
	d.settleLater("abandon", r, call, c, repeat(len(r.gen.To), unknown(c.Why)), campaign.SettleAbandon, 0)
}

// The method "submit" submits a granted claim. It adds the worker's remaining steps for this claim to d.ends.
func (d *sequenceDriver) submit(r generationRead, call string, a int, mg *modelGen, c *Claim, login string) {
	// Invariant I5: no claim is granted while the campaign is paused or stopped.
	if d.m.paused || d.m.stop != "" {
		d.rt.Fatalf("I5: a claim was granted while the campaign is paused (%t) or stopped (%q)", d.m.paused, d.m.stop)
	}
	var rows []int
	var list strings.Builder
	fmt.Fprintf(&list, "%s %s", r.batch, login)
	for _, p := range r.gen.To {
		rows = append(rows, p.Row)
		fmt.Fprintf(&list, " %d", p.Row)
	}
	if was, ok := d.uuids[c.IdempotencyKey.String()]; ok && was != list.String() {
		d.rt.Fatalf("I2: the key %s stood for %q and now stands for %q", c.IdempotencyKey, was, list.String())
	}
	d.uuids[c.IdempotencyKey.String()] = list.String()
	if mg.uuid != c.IdempotencyKey.String() || mg.doubt != c.Doubt || mg.tries != c.Tries {
		d.rt.Fatalf("the claim has key %s, doubt %t, tries %d; want %s, %t, %d", c.IdempotencyKey, c.Doubt, c.Tries, mg.uuid, mg.doubt, mg.tries)
	}
	if gen := genKey(call, r.gen.Number); d.noKey[gen] && !d.forgot {
		d.rt.Fatalf("I3: generation %s may have reached a gateway without keys, and was granted again", gen)
	}
	answer := d.gw.submit(a, login+c.IdempotencyKey.String(), rows)
	if a == 1 && (answer.kind == lost || answer.kind == partial || answer.kind == answered) {
		d.noKey[genKey(call, r.gen.Number)] = true
	}
	d.checkMaybe(a, rows, answer)
	d.rt.Logf("  sent to %v: %s %v", rows, answer.kind, answer.records)
	d.reactTo(r, call, a, c, answer)
}

// checkMaybe checks invariant I3: the gateway may have accepted at most the allowed number of
// submissions of a row. It uses only what the worker can know about each submission.
func (d *sequenceDriver) checkMaybe(a int, rows []int, answer gatewayReply) {
	if a == 0 || answer.kind != lost && answer.kind != partial && answer.kind != answered {
		return
	}
	for i, row := range rows {
		if s := answer.records[i].Status; answer.kind == lost || s == campaign.Unknown || s == campaign.Accepted {
			d.maybe[row]++
		}
		if most := d.submissions(row); d.maybe[row] > most && !d.forgot {
			d.rt.Fatalf("I3: row %d was submitted %d times in a way that may have been accepted, want at most %d", row, d.maybe[row], most)
		}
	}
}

func (d *sequenceDriver) reactTo(r generationRead, call string, a int, c *Claim, answer gatewayReply) {
	n := len(r.gen.To)
	backOff := []time.Duration{0, 2 * time.Hour}[d.draw(2, "back-off")]
	number := r.gen.Number
	switch answer.kind {
	case unreached:
		if d.chance(4, "carve") {
			first := 1 + d.draw(2, "first part")
			d.later("carve", func() { d.splitNow(call, number, first, c) })
			return
		}
		d.later("release", func() {
			if d.releaseNow(call, number, c, backOff, []ReleaseOf{ReleaseUnused, ReleaseUnsent, ReleaseAnswered}[d.draw(3, "of")]) {
				d.settleNow(call, r, c, repeat(n, notSent()), campaign.SettleVerdict, 0)
			}
		})
	case busy:
		if d.chance(2, "busy is an answer") {
			reason := []campaign.SettleReason{campaign.SettleAnswer, campaign.SettleSpared}[d.draw(2, "whose fault")]
			d.settleLater("busy", r, call, c, repeat(n, refusedForNow()), reason, backOff)
		} else {
			d.later("renew", func() { d.releaseNow(call, number, c, backOff, ReleaseAnswered) })
		}
	case refused:
		switch d.draw(3, "refusal") {
		case 0:
			d.settleLater("refuse", r, call, c, repeat(n, rejected("refused")), campaign.SettleVerdict, 0)
		case 1:
			d.later("renew", func() { d.releaseNow(call, number, c, backOff, ReleaseAnswered) })
		case 2:
			d.later("split", func() { d.splitNow(call, number, 0, c) })
		}
	case answered:
		reason := []campaign.SettleReason{campaign.SettleAnswer, campaign.SettleAnswer, campaign.SettleSpared}[d.draw(3, "whose fault")]
		d.settleLater("settle", r, call, c, answer.records, reason, backOff)
	case partial:
		reason := []campaign.SettleReason{campaign.SettleAnswer, campaign.SettleLookup}[d.draw(2, "can look")]
		if a == 0 {
			reason = campaign.SettlePartial
		}
		d.settleLater("partial", r, call, c, answer.records, reason, backOff)
	case lost:
		if a == 1 && d.chance(2, "unknown at once") {
			d.settleLater("unknown", r, call, c, repeat(n, unknown("no_answer")), campaign.SettleVerdict, 0)
			return
		}
		count := d.chance(2, "counts")
		d.later("doubt", func() {
			mg := d.m.gens[genKey(call, number)]
			out, err := d.l.Doubt(d.ctx, c, backOff, count)
			d.ok(err)
			stale := d.m.doubtEnd(mg, c.Token, backOff, count)
			if out.Stale != stale || !stale && out.Count != mg.bad {
				d.rt.Fatalf("Doubt returned %+v, want stale %t", out, stale)
			}
		})
	}
}
