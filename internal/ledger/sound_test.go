package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// findViolations lists the states of a committed campaign that must never occur. It may be
// called between any two scripts.
func findViolations(ctx context.Context, l *Ledger, rdb *redis.Client, id string) (*stateAudit, error) {
	a := &stateAudit{}
	var err error
	if a.sum, err = l.Summary(ctx, id); err != nil {
		return nil, err
	}
	if err := a.read(ctx, rdb, id); err != nil {
		return nil, err
	}
	for row, err := range l.ResultsAfter(ctx, id, 0) {
		if err != nil {
			return nil, err
		}
		a.rows = append(a.rows, row)
	}
	a.counts(ctx, l, a.sum)
	a.generations(a.sum)
	a.byAccount(a.sum)
	a.batches(a.sum)
	a.end(a.sum)
	return a, nil
}

type stateAudit struct {
	problems []string
	sum      Summary
	rows     []Row
	fields   map[string]string
	open     map[string]float64
	isOpen   bool // the open set has members
	gens     map[string]*auditGen
	calls    map[string]int               // number of recipients of call "b.k"
	results  map[string][]campaign.Record // results of the recipients of call "b.k"
}

type auditGen struct {
	name    string // the name "b.k.g": batch, call and generation
	batch   string
	call    string // the name "b.k" of its call
	number  int
	words   []string
	members []int
	waiting int // number of members that are pending in the generation
}

func (g *auditGen) isOpen() bool   { return g.words[0] != "t" }
func (g *auditGen) inFlight() bool { return g.words[0] == "s" || g.words[0] == "d" }

func (a *stateAudit) failf(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

func (a *stateAudit) number(f string) int {
	n, _ := strconv.Atoi(a.fields[f])
	return n
}

var genName = regexp.MustCompile(`^g((\d+\.\d+)\.\d+)\.(\d+)$`)

func (a *stateAudit) read(ctx context.Context, rdb *redis.Client, id string) error {
	var err error
	if a.fields, err = rdb.HGetAll(ctx, ledgerKey(id)).Result(); err != nil {
		return err
	}
	zs, err := rdb.ZRangeWithScores(ctx, openKey(id), 0, -1).Result()
	if err != nil {
		return err
	}
	a.isOpen, a.open = len(zs) > 0, map[string]float64{}
	for _, z := range zs {
		a.open[z.Member.(string)] = z.Score
	}
	a.calls, a.results, a.gens = map[string]int{}, map[string][]campaign.Record{}, map[string]*auditGen{}
	for f, v := range a.fields {
		if f[0] == 'b' && f[1] >= '0' && f[1] <= '9' {
			sizes, _, err := decodeBatch([]byte(v))
			if err != nil {
				return err
			}
			for k, n := range sizes {
				call := f[1:] + "." + strconv.Itoa(k)
				a.calls[call] = n
				if a.results[call], err = decodeRecords([]byte(a.fields["r"+call]), n); err != nil {
					return fmt.Errorf("call %s: %w", call, err)
				}
				a.addGen(call, 0, a.fields["g"+call+".0"])
			}
		}
	}
	for f, v := range a.fields {
		if m := genName.FindStringSubmatch(f); m != nil && m[3] != "0" {
			n, err := strconv.Atoi(m[3])
			if err != nil {
				return err
			}
			a.addGen(m[1], n, v)
		}
	}
	return nil
}

func (a *stateAudit) addGen(call string, number int, record string) {
	g := &auditGen{name: call + "." + strconv.Itoa(number), batch: call[:strings.LastIndexByte(call, '.')], call: call, number: number}
	if record == "" {
		record = fmt.Sprintf("r - 0 0 0 0 0 0 0 - - 0 %d 0", a.calls[call])
	}
	g.words = strings.Fields(record)
	if g.isOpen() && len(g.words) != 14 {
		a.failf("generation %s has %d words: %q", g.name, len(g.words), record)
		return
	}
	packed, ok := a.fields["i"+g.name]
	for i := 0; i+1 < len(packed); i += 2 {
		g.members = append(g.members, int(packed[i])<<8|int(packed[i+1]))
	}
	if !ok {
		for i := range a.calls[call] {
			g.members = append(g.members, i)
		}
		if g.isOpen() && number > 0 {
			a.failf("generation %s is open and has no list of members", g.name)
		}
	} else if !g.isOpen() {
		a.failf("generation %s is settled and still has a list of members", g.name)
	}
	for _, p := range g.members {
		if p >= len(a.results[call]) {
			a.failf("generation %s has position %d of %d", g.name, p, len(a.results[call]))
			return
		}
		if r := a.results[call][p]; r.Status == campaign.Pending && r.Generation == number {
			g.waiting++
		}
	}
	a.gens[g.name] = g
}

// The method "counts" checks invariant I1: each row appears once, and the counters match the rows.
func (a *stateAudit) counts(ctx context.Context, l *Ledger, sum Summary) {
	if n := sum.Pending + sum.Accepted + sum.Delivered + sum.Undelivered + sum.Rejected + sum.Unknown + sum.Skipped; n != sum.Total {
		a.failf("I1: total is %d, the statuses add up to %d", sum.Total, n)
	}
	var by [7]int
	reasons := map[string]int{}
	resent := 0
	for i, row := range a.rows {
		if row.Row != i+1 {
			a.failf("results: row %d comes %d-th", row.Row, i+1)
		}
		by[row.Status]++
		resent += len(row.Resent)
		if row.Status == campaign.Skipped {
			reasons[row.Reason]++
		}
	}
	if len(a.rows) != sum.Total {
		a.failf("results: %d rows of %d", len(a.rows), sum.Total)
	}
	want := [7]int{sum.Pending, sum.Unknown, sum.Rejected, sum.Accepted, sum.Delivered, sum.Undelivered, sum.Skipped}
	if by != want {
		a.failf("I1: the results add up to %v (pending unknown rejected accepted delivered undelivered skipped), the summary says %v", by, want)
	}
	if !maps.Equal(reasons, sum.Reasons) {
		a.failf("the results are skipped for %v, the summary says %v", reasons, sum.Reasons)
	}
	// sent counts the segments of accepted messages. A message without merge fields has one segment in
	// all tests.
	sent := 0
	for _, row := range a.rows {
		if row.Status >= campaign.Accepted && row.Status <= campaign.Undelivered && sum.Spec.Personalized() {
			sent += segmentsOf(personalizedBody(row.Row))
		} else if row.Status >= campaign.Accepted && row.Status <= campaign.Undelivered {
			sent++
		}
	}
	times, err := NewReports(l).DeliveryTimes(ctx, sum.ID)
	if err != nil || times.Messages != sum.Delivered {
		a.failf("delivery times of %d messages (%v), %d are delivered", times.Messages, err, sum.Delivered)
	}
	if sum.Segments != sent {
		a.failf("%d segments for messages of %d that went out", sum.Segments, sent)
	}
	a.usage(ctx, l, sum)
	if resent != sum.Resent {
		a.failf("resent is %d, the results have %d", sum.Resent, resent)
	}
}

// The method "generations" checks that every pending recipient is in exactly one open generation, and
// that the counts in flight are right.
func (a *stateAudit) generations(sum Summary) {
	fly, flyc, was := 0, 0, 0
	for _, g := range a.gens {
		if !g.isOpen() {
			continue
		}
		if g.waiting == 0 {
			a.failf("generation %s is open, but no recipient waits in it: %v", g.name, g.words)
		}
		if size := g.words[12]; size != strconv.Itoa(len(g.members)) {
			a.failf("generation %s has %d members, its record says %s", g.name, len(g.members), size)
		}
		if g.inFlight() {
			fly += g.waiting
		} else if g.waiting != len(g.members) {
			a.failf("generation %s is ready and has %d members, but only %d wait", g.name, len(g.members), g.waiting)
		}
		if g.words[0] == "s" {
			flyc++
		}
		if g.words[0] == "r" && g.words[7] != "0" {
			a.failf("generation %s is ready and doubtful: %v", g.name, g.words)
		}
	}
	for call, records := range a.results {
		for p, r := range records {
			if r.Status != campaign.Pending {
				continue
			}
			g := a.gens[call+"."+strconv.Itoa(r.Generation)]
			if g == nil || !slices.Contains(g.members, p) || !g.isOpen() && sum.StoppedBy == "" {
				a.failf("recipient %d of call %s waits in generation %d, which is not open or does not contain it", p, call, r.Generation)
			} else if r.Before != nil && !g.inFlight() && sum.StoppedBy == "" {
				was++
			}
		}
	}
	if fly != sum.InFlight.Recipients || flyc != sum.InFlight.Calls {
		a.failf("%d calls and %d recipients are in flight, the summary says %+v", flyc, fly, sum.InFlight)
	}
	if was != a.number("was") {
		a.failf("%d waiting recipients were unknown before, the ledger says %d", was, a.number("was"))
	}
}

// The method "batches" checks that the sweeper can find open work, and that the counts of open batches
// are right.
func (a *stateAudit) batches(sum Summary) {
	open, extra := map[string]int{}, map[string][]string{}
	for _, g := range a.gens {
		if g.isOpen() {
			open[g.batch]++
			if g.number > 0 {
				extra[g.batch] = append(extra[g.batch], strings.TrimPrefix(g.name, g.batch+"."))
			}
		}
	}
	openBatchLimit := map[string]int{}
	for name := range a.open {
		if acc, _, ok := strings.Cut(name, "."); ok {
			openBatchLimit[acc]++
		}
	}
	stopped := sum.StoppedBy != ""
	for f := range a.fields {
		if f[0] != 'b' || f[1] < '0' || f[1] > '9' {
			continue
		}
		b := f[1:]
		acc, seq, _ := strings.Cut(b, ".")
		if n := a.number("l" + b); n != open[b] {
			a.failf("batch %s has %d open generations, its counter says %d", b, open[b], n)
		}
		listed := strings.Fields(a.fields["x"+b])
		slices.Sort(listed)
		slices.Sort(extra[b])
		if !slices.Equal(listed, extra[b]) {
			a.failf("batch %s has the open extra generations %v and lists %v", b, extra[b], listed)
		}
		n, _ := strconv.ParseUint(seq, 10, 64)
		_, watched := a.open[b]
		if watched && open[b] == 0 {
			a.failf("batch %s is watched, but has no open generation", b)
		}
		if !watched && open[b] > 0 && (n < uint64(a.number("h:"+acc)) || n >= movedBase) && !stopped {
			a.failf("batch %s is open, but is not in the open set", b)
		}
		if ob := a.number("ob:" + acc); ob != openBatchLimit[acc] && !stopped {
			a.failf("account %s has %d open batches, its counter says %d", acc, openBatchLimit[acc], ob)
		}
	}
}

// The method "end" checks that a campaign is finished exactly when nothing is pending and nothing can become
// pending.
func (a *stateAudit) end(sum Summary) {
	planned := a.fields["cur"] == a.fields["pg"] || sum.StoppedBy != ""
	over := sum.Pending == 0 && planned && sum.RetryRecord == ""
	if over != !sum.FinishedAt.IsZero() {
		a.failf("pending %d, planned %t, retry %q, but finished at %v", sum.Pending, planned, sum.RetryRecord, sum.FinishedAt)
	}
	if over && a.isOpen {
		a.failf("the campaign is over, but the open set still exists: %v", a.open)
	}
}

var aTime = regexp.MustCompile(`1[5-9]\d{11}`)

// ledgerText returns what Redis holds of a campaign, sorted and without times.
func ledgerText(ctx context.Context, rdb redis.Cmdable, id string) (string, error) {
	fields, err := rdb.HGetAll(ctx, ledgerKey(id)).Result()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, "%s=%q\n", f, aTime.ReplaceAllString(fields[f], "<time>"))
	}
	open, err := rdb.ZRange(ctx, openKey(id), 0, -1).Result()
	if err != nil {
		return "", err
	}
	slices.Sort(open)
	fmt.Fprintf(&b, "open %v\n", open)
	overlay, err := rdb.Get(ctx, overlayKey(id, 0)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", err
	}
	delays, err := rdb.HVals(ctx, delaysKey(id)).Result()
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "overlay %q\ndelays %v\n", overlay, delays)
	keys := []string{specKey(id), tombstoneKey(id)}
	for _, k := range keys {
		v, err := rdb.Exists(ctx, k).Result()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s %d\n", k, v)
	}
	return b.String(), nil
}

// byAccount checks that the counts of each account match the results.
func (a *stateAudit) byAccount(sum Summary) {
	if a.fields["per"] == "" {
		return
	}
	want := map[string]campaign.AccountCounts{}
	for _, row := range a.rows {
		if row.Account == "" {
			continue
		}
		c := want[row.Account]
		c.Account = row.Account
		c.Total++
		*[]*int{&c.Pending, &c.Unknown, &c.Rejected, &c.Accepted, &c.Delivered, &c.Undelivered, &c.Skipped}[row.Status]++
		want[row.Account] = c
	}
	for _, c := range sum.ByAccount {
		if w := want[c.Account]; c != w && (c.Total != 0 || w.Total != 0) {
			a.failf("the results have for account %s %+v, the summary has %+v", c.Account, w, c)
		}
	}
}

// segmentsOf returns the number of segments of a message. It returns 1 for a plain campaign, whose
// body is empty here.
func segmentsOf(body string) int {
	n, _ := sms.Segments(body)
	return max(1, n)
}
