package webhook

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/producer"
)

const (
	// leaseFor is how long one process may deliver to an endpoint without renewing its lease. This is longer than
	// the time limit of a request.
	leaseFor = 30 * time.Second
	// keepFor is how long Redis keeps the state of an endpoint after the last time that a process read it.
	keepFor = 30 * 24 * time.Hour
	// maxWaiting is the maximum number of waiting messages of an endpoint. When this number is reached, no
	// further event is read.
	maxWaiting = 1000
	// maxDead is the maximum number of messages in the dead list of an endpoint.
	maxDead = 1000
)

//go:embed begin.lua
var beginSource string

//go:embed commit.lua
var commitSource string

//go:embed redeliver.lua
var redeliverSource string

//go:embed replace.lua
var replaceSource string

//go:embed release.lua
var releaseSource string

var (
	beginScript     = script.New("begin", beginSource)
	commitScript    = script.New("commit", commitSource)
	redeliverScript = script.New("redeliver", redeliverSource)
	replaceScript   = script.New("replace", replaceSource)
	releaseScript   = script.New("release", releaseSource)
)

type beginArgs struct {
	Token       string
	Lease, Keep time.Duration
}

type commitArgs struct {
	Token, Cursor string
	Failures      int
	Open          time.Time
	Gone, Error   string
	ErrorAt, OkAt time.Time
	Hurry         time.Time
	MaxDead       int
	Keep          time.Duration
}

// change is the change that a commit makes to one message.
type change struct {
	Action, Member string
	Due            time.Time
	Record         string
}

const (
	actionDone = "done"
	actionWait = "wait"
	actionDead = "dead"
)

type redeliverArgs struct {
	Due        time.Time
	MaxWaiting int
	Keep       time.Duration
}

type deadChange struct{ ID, Member, Record string }

type replaceArgs struct{ Name, Old, New string }

type releaseArgs struct{ Token string }

func stateKey(name string) string { return script.KeyPrefix + "webhook:{" + name + "}" }

func leaseKey(name string) string { return stateKey(name) + ":lease" }

func waitingKey(name string) string { return stateKey(name) + ":waiting" }

func recordsKey(name string) string { return stateKey(name) + ":records" }

func deadKey(name string) string { return stateKey(name) + ":dead" }

func allKeys(name string) []string {
	return []string{leaseKey(name), stateKey(name), waitingKey(name), recordsKey(name), deadKey(name)}
}

// waiting is a message that waits for another attempt. To keep the order, a message also waits for an earlier message of
// the same campaign or account.
type waiting struct {
	member
	due time.Time
}

// The type "member" identifies a waiting message. The field "cursor" is the cursor of the message's event. The field
// "order" is the campaign, account or other thing whose messages keep their order. The sorted set of waiting messages
// contains the member as text.
type member struct {
	cursor string
	sort   string
	order  string
}

const (
	sortEvent    = "e"
	sortProgress = "p" // progress of a campaign; the next message of this sort replaces a waiting message of this sort
	sortLost     = "l"
)

func memberOf(e producer.Event) member {
	m := member{cursor: e.Cursor, sort: sortEvent}
	switch {
	case e.Kind == producer.EventsLost:
		m.sort, m.order = sortLost, "-"
	case e.Campaign != "":
		m.order = "c:" + e.Campaign
	case e.From != "":
		m.order = "f:" + e.From
	case e.Account != "":
		m.order = "a:" + e.Account
	default:
		m.order = "o:" + e.List
	}
	if e.Kind == producer.CampaignProgressed {
		m.sort = sortProgress
	}
	return m
}

func parseMember(text string) member {
	var m member
	m.cursor, text, _ = strings.Cut(text, " ")
	m.sort, m.order, _ = strings.Cut(text, " ")
	return m
}

// String returns the text of the member in the sorted set.
func (m member) String() string { return m.cursor + " " + m.sort + " " + m.order }

// id returns the value of the header webhook-id. It is the same for every attempt of a message, at every endpoint.
func (m member) id() string {
	if m.sort == sortLost {
		return "lost_" + m.cursor
	}
	return "evt_" + m.cursor
}

func compareMembers(a, b member) int {
	am, as := script.CursorNumbers(a.cursor)
	bm, bs := script.CursorNumbers(b.cursor)
	return cmp.Or(cmp.Compare(am, bm), cmp.Compare(as, bs), cmp.Compare(a.sort, b.sort))
}

// record is what Redis keeps of a waiting message, in addition to its name.
type record struct {
	// First is the time of the first attempt in ms. It is 0 before the first attempt.
	First int64 `json:"f,omitempty"`
	// Attempts is the number of requests. Error is the reason why the last request failed.
	Attempts int    `json:"n,omitempty"`
	Error    string `json:"e,omitempty"`
	// Body is the body of the message. It is the same in every attempt.
	Body json.RawMessage `json:"b"`
}

func (r record) text() (string, error) {
	text, err := json.Marshal(r)
	return string(text), err
}

// state is what begin.lua returns.
type state struct {
	cursor   string
	failures int
	open     time.Time
	gone     string
	waiting  []waiting
}

// queue keeps the state of endpoints in Redis: cursors, leases, waiting messages and dead lists.
type queue struct {
	scripts *script.Runner
	rdb     redis.UniversalClient
}

// errBusy means that another process delivers to the endpoint.
var errBusy = errors.New("another process delivers to the endpoint")

func (q *queue) begin(ctx context.Context, name, token string) (state, error) {
	out, err := q.scripts.Run(ctx, beginScript, allKeys(name), script.Args(beginArgs{token, leaseFor, keepFor})...)
	if err != nil {
		return state{}, fmt.Errorf("read the state of webhook %s: %w", name, err)
	}
	if out[0] == "busy" {
		return state{}, errBusy
	}
	if len(out) < 5 {
		return state{}, fmt.Errorf("read the state of webhook %s: %w", name, script.ErrAnswer)
	}
	s := state{cursor: out[1], failures: script.Int(out[2]), open: script.Milli(out[3]), gone: out[4]}
	for i := 5; i+1 < len(out); i += 2 {
		s.waiting = append(s.waiting, waiting{parseMember(out[i]), script.Milli(out[i+1])})
	}
	return s, nil
}

// commit writes outcomes. It returns errBusy if the lease is over.
func (q *queue) commit(ctx context.Context, name string, a commitArgs, changes []change) error {
	a.MaxDead, a.Keep = maxDead, keepFor
	args := script.Args(a)
	for _, c := range changes {
		args = append(args, script.Args(c)...)
	}
	out, err := q.scripts.Run(ctx, commitScript, allKeys(name), args...)
	if err != nil {
		return fmt.Errorf("write the state of webhook %s: %w", name, err)
	}
	if out[0] == "lost" {
		return errBusy
	}
	return nil
}

func (q *queue) release(ctx context.Context, name, token string) error {
	if _, err := q.scripts.Run(ctx, releaseScript, []string{leaseKey(name)}, script.Args(releaseArgs{token})...); err != nil {
		return fmt.Errorf("release webhook %s: %w", name, err)
	}
	return nil
}

// records returns the records of waiting messages, in the order of the members. A record that is missing or cannot be
// read has no Body.
func (q *queue) records(ctx context.Context, name string, members []member) ([]record, error) {
	fields := make([]string, len(members))
	for i, m := range members {
		fields[i] = m.String()
	}
	values, err := q.rdb.HMGet(ctx, recordsKey(name), fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("read the messages of webhook %s: %w", name, err)
	}
	out := make([]record, len(members))
	for i, v := range values {
		if json.Unmarshal([]byte(script.Text(v)), &out[i]) != nil {
			out[i] = record{}
		}
	}
	return out, nil
}
