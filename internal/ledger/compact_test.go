package ledger

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// usedMemory returns the memory that Redis uses, in bytes.
func (r *testLedger) usedMemory() int {
	r.Helper()
	info, err := r.rdb.InfoMap(r.Context(), "memory").Result()
	r.ok(err)
	n, err := strconv.Atoi(info["Memory"]["used_memory"])
	r.ok(err)
	return n
}

// peakMemory records the highest memory use.
type peakMemory struct {
	*testLedger
	idle, most int
}

func (p *peakMemory) look() {
	p.Helper()
	p.most = max(p.most, p.usedMemory())
}

// From the upload to the end, a plain campaign never takes more than 64 bytes of Redis for each
// recipient. This covers pages, batches, generations, and results with a UUID each. It does not
// cover the queue's tasks, whose number is bounded by the open-batch limit; package worker measures
// those.
func TestMemory_MillionRecipientsTake64BytesEach(t *testing.T) {
	n := 1_000_000
	if raceEnabled {
		n = 200_000
	}
	r := newTestLedger(t)
	// The numbers are as in a real list: unsorted and without duplicates.
	seed := rand.New(rand.NewPCG(1, 2))
	numbers := make([]sms.MSISDN, n)
	for i, x := range seed.Perm(n) {
		numbers[i] = sms.MSISDN(254700000000 + uint64(x)*97 + seed.Uint64N(97))
	}
	p := &peakMemory{testLedger: r, idle: r.usedMemory()}

	p.uploadAll(numbers)
	staged := p.most
	p.planAll(numbers)
	planned := p.most
	p.settleAll(n / 500)

	s := r.summary("c")
	if s.State != campaign.Done || s.Accepted != n || s.Calls != n/500 {
		t.Fatalf("the campaign is %s with %d accepted in %d calls, want done with all accepted in calls of 500", s.State, s.Accepted, s.Calls)
	}
	each := func(most int) float64 { return float64(most-p.idle) / float64(n) }
	t.Logf("bytes a recipient, peaks: uploaded %.1f, planned %.1f, settled %.1f; in the end %.1f", each(staged), each(planned), each(p.most), each(r.usedMemory()))
	if got := each(p.most); got > 64 {
		t.Errorf("the campaign took %.1f bytes a recipient at its peak, want at most 64", got)
	}
	// A search for one of the numbers reads all of them. It takes about 0.1 s.
	began := time.Now()
	found := r.search(numbers[n-n/5])
	took := time.Since(began)
	if len(found) != 1 || found[0].Recipients != n || len(found[0].Found) != 1 || found[0].Found[0].Status != campaign.Accepted || found[0].Found[0].Row.Row != n-n/5+1 {
		t.Errorf("the search found %+v, want the accepted message of row %d", found, n-n/5+1)
	}
	t.Logf("a search through %d recipients took %s", n, took)
	if took > 10*time.Second {
		t.Errorf("a search through %d recipients took %s, want at most 10 s", n, took)
	}
}

func (p *peakMemory) uploadAll(numbers []sms.MSISDN) {
	p.Helper()
	u, err := p.BeginUpload("c", campaign.Spec{Body: "Habari, leo kuna punguzo la bei katika maduka yetu yote."})
	p.ok(err)
	for i, m := range numbers {
		p.ok(u.Add(p.Context(), m.E164()))
		if i%50_000 == 0 {
			p.look()
		}
	}
	_, err = u.Commit(p.Context())
	p.ok(err)
	p.look()
}

func (p *peakMemory) planAll(numbers []sms.MSISDN) {
	p.Helper()
	plan := p.startPlan("c", 1)
	var waiting []campaign.Planned
	for page, err := range p.ReadPages(p.Context(), "c", 0, plan.Pages, 1) {
		p.ok(err)
		out := campaign.PlannedPage{Page: page.Number, First: page.First, OpenBatchLimits: map[int]int{0: 16}}
		for i := range page.Inputs {
			row := page.First + i
			waiting = append(waiting, campaign.Planned{Row: row, MSISDN: numbers[row-1]})
		}
		for ; len(waiting) >= 500; waiting = waiting[500:] {
			out.Batches = append(out.Batches, campaign.PlannedBatch{Calls: []int{500}, To: waiting[:500]})
		}
		if len(waiting) > 0 {
			out.Carry = [][]campaign.Call{{{To: waiting}}}
		}
		_, _, err := plan.CommitPage(p.Context(), script.NewToken(), out)
		p.ok(err)
		if page.Number%50 == 0 {
			p.look()
		}
	}
	p.look()
}

func (p *peakMemory) settleAll(batches int) {
	p.Helper()
	records := make([]campaign.Record, 500)
	for b := range batches {
		c := p.claim("c", campaign.BatchName(0, b), 0, 0, keyed, long)
		for i := range records {
			records[i] = accepted(uuid.NewString())
		}
		c.openBatchLimit = 16
		p.settle(c, campaign.SettleAnswer, records...)
		if b%50 == 0 {
			p.look()
		}
	}
	p.look()
}

// A finished campaign of one message takes at most 1,000 bytes in Redis. This includes its ledger,
// its spec, and its entries in both indexes.
func TestMemory_CampaignOfOneLeavesAtMost1000Bytes(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		spec   campaign.Spec
		record campaign.Record
	}{
		"transactional, through an account": {campaign.Spec{Via: "kobo-main", From: "ACME", Class: campaign.Transactional, Country: "KE", Body: strings.Repeat("Ujumbe mfupi. ", 5)[:60]},
			campaign.Record{Status: campaign.Accepted, Cost: "0.8000", Currency: "KES"}},
		"marketing, with an expiry": {campaign.Spec{Via: "kobo-main", From: "ACME", Body: strings.Repeat("Ujumbe mfupi. ", 5)[:60]}, campaign.Record{Status: campaign.Accepted}},
		"rejected":                  {campaign.Spec{Via: "kobo-main", Body: strings.Repeat("Ujumbe mfupi. ", 5)[:60]}, campaign.Record{Status: campaign.Rejected, Reason: "blacklisted", Code: "UserInBlacklist"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			one := func(id string) {
				u := r.upload(id, c.spec, "+254712345678")
				_, err := u.Commit(t.Context())
				r.ok(err)
				p, err := r.StartPlan(t.Context(), id, func(campaign.Spec) (campaign.PlanSnapshot, error) {
					f := campaign.PlanSnapshot{Country: "KE", Accounts: []campaign.SnapshotAccount{{Name: "kobo-main", MaxRecipients: 500, BatchSize: 500}}}
					if c.spec.Class != campaign.Transactional {
						f.SendingHours = []campaign.CountryHours{{Country: "KE", Hours: "08:00-18:00"}, {Country: "NG", Hours: "08:00-20:00"}}
					}
					return f, nil
				})
				r.ok(err)
				stream := min(1, len(p.Snapshot.SendingHours))
				_, _, err = p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 4, 1: 4},
					Batches: []campaign.PlannedBatch{{Stream: stream, Calls: []int{1}, To: []campaign.Planned{{Row: 1, MSISDN: 254712345678}}}}})
				r.ok(err)
				claim := r.claim(id, campaign.BatchName(stream, 0), 0, 0, keyed, long)
				rec := c.record
				if rec.Status == campaign.Accepted {
					rec.MessageID = uuid.NewString()
				}
				if out := r.settle(claim, campaign.SettleAnswer, rec); !out.Done {
					t.Fatal("the campaign is not done")
				}
			}
			one("order-first") // the first enqueue is not measured, because Redis allocates some memory only once (scripts, the index)
			const n = 1000
			before := r.usedMemory()
			for i := range n {
				one(fmt.Sprintf("order-%012d", i))
			}
			each := float64(r.usedMemory()-before) / n
			t.Logf("%.0f bytes each", each)
			if each > 1000 {
				all, err := r.rdb.HGetAll(t.Context(), ledgerKey("order-000000000000")).Result()
				r.ok(err)
				t.Errorf("a campaign of one left %.0f bytes, want at most 1,000: %q", each, all)
			}
		})
	}
}

// An archived message takes at most 400 bytes in Redis. This includes its archive, and its entry in the list of
// messages.
func TestMemory_ArchivedMessageTakesAtMost400Bytes(t *testing.T) {
	t.Parallel()
	for name, reported := range map[string]bool{"accepted": false, "delivered": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			one := func(n int) {
				id := fmt.Sprintf("m-%022d", n)
				spec := messageSpec()
				spec.Via = "main"
				r.sendingSpec(id, spec, []int{1})
				c := r.claim(id, "0.0", 0, 0, keyed, long)
				r.settle(c, campaign.SettleAnswer, campaign.Record{Status: campaign.Accepted, MessageID: atID(1), Cost: "0.8000", Currency: "KES"})
				if reported {
					r.apply(id, about(1, true, r.clock().Add(3*time.Second)))
				}
				if done, err := Archive(t.Context(), r.Ledger, id); err != nil || !done {
					t.Fatalf("message %s is archived: %t, %v", id, done, err)
				}
				r.ok(r.rdb.ZRem(t.Context(), openIndex, id).Err()) // the sweeper does so
			}
			one(0)
			const n = 1000
			before := r.usedMemory()
			for i := range n {
				one(i + 1)
			}
			each := float64(r.usedMemory()-before) / n
			stored := r.rdb.Get(t.Context(), tombstoneKey("m-0000000000000000000001")).Val()
			t.Logf("%.0f bytes each, %d of them the archive", each, len(stored))
			if each > 400 {
				t.Errorf("a message left %.0f bytes, want at most 400: %q", each, stored)
			}
		})
	}
}
