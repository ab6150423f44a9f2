package tracking

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

//go:embed park.lua
var parkSource string

// parkScript is marked with script.Binding: its changes must be durable before "tuma serve" answers the gateway's
// callback with a status from 200 to 299.
var parkScript = script.Binding(script.NewAlwaysAllowed("park", parkSource))

const (
	// maxParked is how many reports are parked for one login. A parked report takes about 250 bytes.
	maxParked = 100_000
	// lookAgainIn is the time from the parking of a report until LookAgain first checks it.
	lookAgainIn = 2 * time.Second
)

// ErrParkedFull means that too many reports wait for their messages. The gateway must repeat the
// new reports later.
var ErrParkedFull = errors.New("too many delivery reports wait for their messages")

func parkedKey(login string) string  { return segmentsKey(login) + ":p" }
func parkDueKey(login string) string { return segmentsKey(login) + ":pd" }

// parkArgs and parkedArgs are the arguments of park.lua.
type parkArgs struct {
	Most    int
	FirstIn time.Duration
}

type parkedArgs struct{ ID, Record string }

// parkedRecord returns a report in the form that park.lua stores: the time, the status, the number, the state, the
// reason and, if the report has one, the name of the call. Tabs separate the state, the reason and the name. The
// status is d for delivered, u for undelivered, or b if the gateway has blacklisted the number.
func parkedRecord(r Report) string {
	status := "u"
	switch {
	case r.Status.Delivered:
		status = "d"
	case r.Blacklisted:
		status = "b"
	}
	tidy := strings.NewReplacer("\t", " ", "\n", " ")
	record := strconv.FormatInt(r.At.UnixMilli(), 10) + " " + status + " " + strconv.FormatUint(uint64(r.To), 10) + " " +
		tidy.Replace(r.Status.State) + "\t" + tidy.Replace(r.Reason)
	if r.Call != "" {
		record += "\t" + tidy.Replace(r.Call)
	}
	return record
}

// parseParked reads a record that parkedRecord has written. ok is false if the record cannot be read.
func parseParked(id, record string) (r Report, ok bool) {
	words := strings.SplitN(record, " ", 4)
	if len(words) != 4 || len(words[1]) != 1 || !strings.Contains("dub", words[1]) {
		return r, false
	}
	at, err1 := strconv.ParseInt(words[0], 10, 64)
	to, err2 := strconv.ParseUint(words[2], 10, 64)
	state, reason, tab := strings.Cut(words[3], "\t")
	if err1 != nil || err2 != nil || !tab {
		return r, false
	}
	reason, r.Call, _ = strings.Cut(reason, "\t")
	r.At = time.UnixMilli(at)
	r.DLR = providers.DLR{MessageID: id, To: sms.MSISDN(to), Reason: reason, Blacklisted: words[1] == "b", Status: providers.MessageStatus{Final: true, Delivered: words[1] == "d", State: state}}
	return r, true
}

// park keeps reports until their messages are known. held[i] is true if Redis keeps the i-th report.
// When the number of parked reports reaches its limit, Redis keeps only some of the reports.
func (t *Tracker) park(ctx context.Context, reports []Report) (held []bool, err error) {
	args := script.Args(parkArgs{Most: maxParked, FirstIn: lookAgainIn})
	for _, r := range reports {
		args = append(args, script.Args(parkedArgs{ID: r.MessageID, Record: parkedRecord(r)})...)
	}
	out, err := t.scripts.Run(ctx, parkScript, []string{parkedKey(t.login), parkDueKey(t.login)}, args...)
	if err == nil && len(out) != len(reports) {
		err = script.ErrAnswer
	}
	if err != nil {
		return nil, fmt.Errorf("park delivery reports: %w", err)
	}
	for _, word := range out {
		held = append(held, word != "full")
	}
	return held, nil
}

// unpark removes parked reports that were applied.
func (t *Tracker) unpark(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	members := make([]any, len(ids))
	for i, id := range ids {
		members[i] = id
	}
	_, err := t.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HDel(ctx, parkedKey(t.login), ids...)
		p.ZRem(ctx, parkDueKey(t.login), members...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove parked delivery reports: %w", err)
	}
	return nil
}

// parked returns the parked reports about the given messages.
func (t *Tracker) parked(ctx context.Context, ids []string) (out []Report, err error) {
	got, err := t.rdb.HMGet(ctx, parkedKey(t.login), ids...).Result()
	if err != nil {
		return nil, fmt.Errorf("read parked delivery reports: %w", err)
	}
	for i, v := range got {
		if r, ok := parseParked(ids[i], script.Text(v)); ok {
			out = append(out, r)
		}
	}
	return out, nil
}
