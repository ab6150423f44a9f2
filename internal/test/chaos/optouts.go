//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

// optOutLog records the opt-outs during the campaigns, and the calls that reached the
// gateways, by number. Safe for concurrent use.
type optOutLog struct {
	// optOut opts a number out of the messages of a sender ID, or of all senders if sender is
	// empty.
	optOut func(ctx context.Context, number, sender string) (producer.OptOutReceipt, error)

	retries atomic.Int64 // opt-outs that failed and were tried again

	mu       sync.Mutex
	requests map[uint64]request
	calls    map[uint64][]arrival
	last     map[string]uint64 // for each gateway, the last number in its last call
}

// request is one opt-out.
type request struct {
	// returned is when the opt-out returned without an error. It is zero until then.
	returned time.Time
	// inFlight is how many calls the opt-out reported as in flight.
	inFlight int
	// byWord means that the opt-out was a STOP. The 2xx to a STOP does not report calls in flight. So chaos reads the
	// open calls of the campaign after the 2xx. The field "open" has their idempotency keys, and the field "returned"
	// is the time after this read.
	byWord bool
	open   map[string]bool
}

// arrival records that a call to a number has reached a gateway. The outcome of the call does not
// matter.
type arrival struct {
	arrived time.Time
	// key is the call's idempotency key. It is empty at a gateway without keys, where each
	// arrival is a separate call.
	key string
}

func newOptOutLog() *optOutLog {
	return &optOutLog{requests: map[uint64]request{}, calls: map[uint64][]arrival{}, last: map[string]uint64{}}
}

// Requests to every gateway have the numbers in international form. All numbers of a run begin with 2547, like
// firstNumber. Idempotency keys are UUIDs.
var (
	numberPattern = regexp.MustCompile(`2547[0-9]{8}`)
	keyPattern    = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
)

// readText returns the query and the body of a request, and restores the body. It returns an error if
// the body cannot be read.
func readText(q *http.Request) ([]byte, error) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return nil, err
	}
	q.Body = io.NopCloser(bytes.NewReader(body))
	return append(append([]byte(q.URL.RawQuery), '\n'), body...), nil
}

// readRequest records the numbers in the text of a request before the gateway reads it. The parameter "at" is the
// time at which the gateway had read the request's header. The worker began the call before that time.
func (c *optOutLog) readRequest(gateway string, at time.Time, text []byte) {
	a := arrival{arrived: at}
	if hasKeys(gateway) {
		a.key = string(keyPattern.Find(text))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, found := range numberPattern.FindAll(text, -1) {
		n, err := strconv.ParseUint(string(found), 10, 64)
		if err != nil {
			continue // this cannot happen, because every match of numberPattern has 12 digits
		}
		c.calls[n] = append(c.calls[n], a)
		c.last[gateway] = n
	}
}

// hasOptOuts reports whether recipients opt out of a gateway's nth campaign. In every fourth
// campaign no recipient opts out, so none of its recipients may be skipped.
func hasOptOuts(nth int) bool { return nth%4 != 3 }

// optOutSome opts recipients of a campaign out at random moments until the campaign ends. At most a tenth of the
// recipients opt out. It starts before the campaign is enqueued, so that planning finds some of these recipients on
// the suppression list and skips them.
func (t *traffic) optOutSome(ctx context.Context, c *campaign) {
	for range c.total / 10 {
		select {
		case <-ctx.Done():
			return
		case <-time.After(rand.N(t.pause)):
		}
		if _, ended := t.progress(c); ended {
			return
		}
		n := t.optOuts.pickNumber(c)
		if t.byWord != nil && rand.N(3) == 0 {
			t.byWord(ctx, c, n)
			continue
		}
		t.optOut(ctx, n, []string{"", sender}[rand.N(2)])
	}
}

// startOptOuts starts optOutSome for a campaign that has opt-outs.
func (t *traffic) startOptOuts(ctx context.Context, c *campaign) {
	if c.hasOptOuts {
		t.background.Go(func() { t.optOutSome(ctx, c) })
	}
}

// pickNumber chooses at random a number of a campaign. The number has not opted out yet. With a probability of
// three in four the chosen number is near the last number that reached the gateway, so that a call to the chosen
// number may be in flight.
func (c *optOutLog) pickNumber(of *campaign) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		n := of.first + rand.N(uint64(of.total))
		if last := c.last[of.gateway]; rand.N(4) > 0 && last >= of.first && last < of.first+uint64(of.total) {
			n = min(max(last+rand.N(uint64(3*perCall)), of.first+perCall)-perCall, of.first+uint64(of.total)-1)
		}
		if _, ok := c.requests[n]; !ok {
			c.requests[n] = request{}
			return n
		}
	}
}

// optOut opts a number out, and retries until that succeeds or ctx ends. If the opt-out is refused
// as invalid, optOut reports a broken promise, because every number here is valid.
func (t *traffic) optOut(ctx context.Context, n uint64, sender string) {
	for {
		r, err := t.optOuts.optOut(ctx, "+"+strconv.FormatUint(n, 10), sender)
		if err == nil {
			t.optOuts.confirm(n, time.Now(), r.InFlight.Calls+r.Doubt)
			return
		}
		if errors.Is(err, producer.ErrInvalid) {
			t.breach("opt out %d: %v", n, err)
			return
		}
		t.optOuts.retries.Add(1)
		select {
		case <-ctx.Done():
			return
		case <-time.After(100*time.Millisecond + rand.N(200*time.Millisecond)):
		}
	}
}

func (c *optOutLog) confirm(n uint64, back time.Time, open int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[n] = request{returned: back, inFlight: open}
}

// confirmWord records that a STOP got its 2xx. The parameter "calls" has the calls that were still open after the
// 2xx, and the parameter "back" is the time at which chaos had read these calls.
func (c *optOutLog) confirmWord(n uint64, back time.Time, calls map[string]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests[n] = request{returned: back, byWord: true, open: calls}
}

// allowedCalls returns how many calls may have arrived after the opt-out of a result's number. After a STOP it
// returns 1 in two cases, and otherwise 0. In the first case, the call of the result was open. In the second case, the
// result is skipped, and the campaign had an open call, which the gateway did not accept.
func (r numberHistory) allowedCalls(x producer.Result) int {
	switch {
	case !r.byWord:
		return r.inFlight
	case r.open[x.MessageUUID], x.Status == "skipped" && len(r.open) > 0:
		return 1
	}
	return 0
}

// optOutFunc returns the function for optOutLog.optOut. One of eight opt-outs uses the command `tuma optout add`, as
// an operator would. The others use the library.
func (r *chaosRun) optOutFunc(client *producer.Client, config string) func(context.Context, string, string) (producer.OptOutReceipt, error) {
	return func(ctx context.Context, number, sender string) (receipt producer.OptOutReceipt, err error) {
		if rand.N(8) > 0 {
			return client.OptOut(ctx, producer.OptOutNumbers(sender, "", number))
		}
		cmd := exec.CommandContext(ctx, r.binary, "--config", config, "optout", "add", number, "--sender", sender, "--json", "--no-wait")
		cmd.Env = append(os.Environ(), "HOME="+filepath.Dir(config), "TUMA_CONFIG=")
		var output strings.Builder
		cmd.Stderr = &output
		out, err := cmd.Output()
		if err != nil {
			return receipt, fmt.Errorf("tuma optout add: %w: %s", err, output.String())
		}
		return receipt, json.Unmarshal(out, &receipt)
	}
}

// numberHistory is a number's opt-out, if optedOut is true, and the calls to the number.
type numberHistory struct {
	optedOut bool
	request
	calls []arrival
}

func (c *optOutLog) historyOf(n uint64) numberHistory {
	c.mu.Lock()
	defer c.mu.Unlock()
	w, ok := c.requests[n]
	return numberHistory{optedOut: ok, request: w, calls: c.calls[n]}
}

// lateCalls returns how many calls arrived after the opt-out had returned. Arrivals with the
// same idempotency key are one call.
func (r numberHistory) lateCalls() (n int) {
	keys := map[string]bool{}
	for _, a := range r.calls {
		if a.arrived.After(r.returned) && (a.key == "" || !keys[a.key]) {
			keys[a.key] = true
			n++
		}
	}
	return n
}
