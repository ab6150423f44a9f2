// Package queue defines what producers and workers share about wake-ups: task types, payloads,
// queue names and task IDs. A task only points to work in the ledger. If a task is lost or
// repeated, this does not change what is sent (see package ledger).
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Task types.
const (
	TypePlan = "tuma:plan"
	TypeSend = "tuma:send"
)

// Queues for planning. Campaigns of at most SmallCampaign recipients have a separate queue.
const (
	PlanSmall     = "tuma-plan"
	PlanLarge     = "tuma-plan-large"
	SmallCampaign = 10_000
)

// PlanQueue returns the planning queue for a campaign with the given number of recipients.
func PlanQueue(recipients int) string {
	if recipients > SmallCampaign {
		return PlanLarge
	}
	return PlanSmall
}

// InlinePlanLimit is the maximum number of recipients of a campaign that a single task both plans
// and sends.
const InlinePlanLimit = 500

// PlansInline reports whether a single task both plans the campaign and starts to send it, on the
// queue of the account. The campaign must be small, and its spec must name an account. Its
// messages then wait for one poll of a queue instead of two.
func PlansInline(account string, recipients int) bool {
	return account != "" && recipients <= InlinePlanLimit
}

// FirstQueue returns the queue for a campaign's planning. account is the account in the campaign's
// spec, or "".
func FirstQueue(account string, transactional bool, recipients int) string {
	if PlansInline(account, recipients) {
		return SendQueue(account, transactional)
	}
	return PlanQueue(recipients)
}

// SendQueues returns the names of an account's two queues.
func SendQueues(account string) (transactional, bulk string) {
	return "tuma-send-now:" + account, "tuma-send:" + account
}

// SendQueue returns the name of the account's queue for transactional or for bulk campaigns.
func SendQueue(account string, transactional bool) string {
	now, bulk := SendQueues(account)
	if transactional {
		return now
	}
	return bulk
}

// version is the version of the payload format. A worker leaves a payload with a higher version to
// a newer worker.
const version = 1

// Errors of Decode.
var (
	// ErrNewer means that a newer release wrote the payload. The task must be left to a worker of
	// that release.
	ErrNewer = errors.New("task was written by a newer release")
	// ErrPayload means that the payload cannot be decoded.
	ErrPayload = errors.New("invalid task payload")
)

// Pointer is the payload of a task: it has the name of the work that is due and the number of the wake-up.
type Pointer struct {
	Version  int    `json:"v"`
	Campaign string `json:"c"`
	// Batch is the name of the batch, or "" for planning.
	Batch string `json:"b,omitempty"`
	Wake  int    `json:"w"`
	// Trace is the W3C traceparent of the work that queued the wake-up, or "". Trace is in a header of the task,
	// so that the payload does not differ from the payload of earlier releases.
	Trace string `json:"-"`
}

// traceHeader is the name of the task header with the value of Pointer.Trace.
const traceHeader = "traceparent"

// DecodeTask decodes a task's payload and header. See Decode.
func DecodeTask(t *asynq.Task) (Pointer, error) {
	p, err := Decode(t.Payload())
	p.Trace = t.Headers()[traceHeader]
	return p, err
}

// Decode decodes a task's payload. If it fails, it returns an error that wraps ErrNewer or
// ErrPayload.
func Decode(payload []byte) (Pointer, error) {
	var p Pointer
	if len(payload) > 4096 {
		return p, fmt.Errorf("decode task: got %d bytes, want at most 4096: %w", len(payload), ErrPayload)
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return p, fmt.Errorf("decode task: %w: %w", ErrPayload, err)
	}
	if p.Version > version {
		return p, fmt.Errorf("decode task: version %d: %w", p.Version, ErrNewer)
	}
	if p.Version < 1 || p.Campaign == "" {
		return p, fmt.Errorf("decode task: %w", ErrPayload)
	}
	return p, nil
}

// taskID returns an ID that depends only on the wake-up. asynq refuses a second task with the same
// ID. So each wake-up is queued at most once.
func (p Pointer) taskID() string {
	work := p.Batch
	if work == "" {
		work = "plan"
	}
	return p.Campaign + ":" + work + ":" + strconv.Itoa(p.Wake)
}

// CampaignOf returns the campaign ID in a task ID. It returns "" if this package did not make the
// task ID.
func CampaignOf(taskID string) string {
	rest, wake, ok1 := cutLast(taskID)
	campaign, _, ok2 := cutLast(rest)
	if _, err := strconv.Atoi(wake); err != nil || !ok1 || !ok2 {
		return ""
	}
	return campaign
}

func cutLast(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// Queue queues wake-ups in asynq and finds queued wake-ups. It is safe for concurrent use.
type Queue struct {
	rdb      redis.UniversalClient
	client   *asynq.Client
	preparer *preparer
}

// New returns a Queue on a Redis client. The caller closes the client.
func New(rdb redis.UniversalClient) *Queue {
	return &Queue{rdb: rdb, client: asynq.NewClientFromRedisClient(rdb), preparer: newPreparer()}
}

// Wake queues a wake-up on the queue with the given name. It also returns nil if the wake-up is
// already queued. Tuma does not use asynq's retries and timeouts, so Wake sets values for them
// that have no effect.
func (q *Queue) Wake(ctx context.Context, name string, p Pointer) error {
	task, options, err := p.task(name)
	if err != nil {
		return err
	}
	_, err = q.client.EnqueueContext(ctx, task, options...)
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("wake %s: %w", p.taskID(), err)
	}
	return nil
}

// task returns the asynq task of a wake-up on the queue with the given name.
func (p Pointer) task(name string) (*asynq.Task, []asynq.Option, error) {
	p.Version = version
	payload, err := json.Marshal(p)
	if err != nil {
		return nil, nil, fmt.Errorf("wake %s: %w", p.taskID(), err)
	}
	kind := TypeSend
	if p.Batch == "" {
		kind = TypePlan
	}
	task := asynq.NewTask(kind, payload)
	if p.Trace != "" {
		task = asynq.NewTaskWithHeaders(kind, payload, map[string]string{traceHeader: p.Trace})
	}
	return task, []asynq.Option{asynq.Queue(name), asynq.TaskID(p.taskID()), asynq.MaxRetry(25), asynq.Timeout(24 * time.Hour)}, nil
}

// Paused returns which of the named queues were paused with asynq's own tools, and the time of
// the pause. The time is zero if the record of the queue does not have a time.
func (q *Queue) Paused(ctx context.Context, names []string) (map[string]time.Time, error) {
	since := make([]*redis.StringCmd, len(names))
	_, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			since[i] = p.Get(ctx, pausedKey(name))
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read paused queues: %w", err)
	}
	paused := map[string]time.Time{}
	for i, name := range names {
		text, err := since[i].Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the pause of queue %s: %w", name, err)
		}
		paused[name] = time.Time{}
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
			paused[name] = time.Unix(seconds, 0).UTC()
		}
	}
	return paused, nil
}

// Length returns how many wake-ups in the queue wait for a worker. It sends only one command.
// asynq's inspector would send more commands, because it counts the tasks in every state.
func (q *Queue) Length(ctx context.Context, name string) (int64, error) {
	n, err := q.rdb.LLen(ctx, pendingKey(name)).Result()
	if err != nil {
		return 0, fmt.Errorf("read length of queue %s: %w", name, err)
	}
	return n, nil
}
