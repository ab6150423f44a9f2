// Package queue is all that producers and workers must agree on about wake-up
// calls: task types, payloads, queue names and task ids. A task carries no truth
// of its own; losing or repeating one changes nothing (see package ledger).
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

// Queues for planning: campaigns of at most SmallCampaign recipients have a lane
// of their own.
const (
	PlanSmall     = "tuma-plan"
	PlanLarge     = "tuma-plan-large"
	SmallCampaign = 10_000
)

// PlanQueue is the lane of a campaign with so many recipients.
func PlanQueue(recipients int) string {
	if recipients > SmallCampaign {
		return PlanLarge
	}
	return PlanSmall
}

// OneTask is how many recipients a campaign has at most that is planned and sent by
// one task.
const InlinePlanLimit = 500

// PlansWhereItSends says whether a campaign is small enough, and its account known, so
// that one task plans it and begins to send it, on the account's own queue: a message
// waits for one look at a queue then and not for two.
func PlansInline(account string, recipients int) bool {
	return account != "" && recipients <= InlinePlanLimit
}

// FirstQueue is where a campaign's planning is queued; account is the one it names, or
// empty.
func FirstQueue(account string, transactional bool, recipients int) string {
	if PlansInline(account, recipients) {
		return SendQueue(account, transactional)
	}
	return PlanQueue(recipients)
}

// SendQueues are an account's two queues.
func SendQueues(account string) (transactional, bulk string) {
	return "tuma-send-now:" + account, "tuma-send:" + account
}

// SendQueue is the queue for a campaign's class.
func SendQueue(account string, transactional bool) string {
	now, bulk := SendQueues(account)
	if transactional {
		return now
	}
	return bulk
}

// version is the payload format; a newer one is left alone.
const version = 1

// Errors of a payload.
var (
	// ErrNewer: written by a newer release; its task is left for that.
	ErrNewer = errors.New("task of a newer release")
	// ErrPayload: cannot be read.
	ErrPayload = errors.New("task payload cannot be read")
)

// Pointer is what a task carries: which work, and the number of the wake.
type Pointer struct {
	Version  int    `json:"v"`
	Campaign string `json:"c"`
	// Batch is empty for planning.
	Batch string `json:"b,omitempty"`
	Wake  int    `json:"w"`
}

// Decode reads a task's payload.
func Decode(payload []byte) (Pointer, error) {
	var p Pointer
	if len(payload) > 4096 {
		return p, fmt.Errorf("decode task: %d bytes: %w", len(payload), ErrPayload)
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

// taskID is the same for the same wake, so that a wake is in a queue once.
func (p Pointer) taskID() string {
	work := p.Batch
	if work == "" {
		work = "plan"
	}
	return p.Campaign + ":" + work + ":" + strconv.Itoa(p.Wake)
}

// CampaignOf is the campaign in a task id; empty: it is none of this package's.
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

// Queue puts wake-up calls into asynq, and looks them up. Safe for concurrent use.
type Queue struct {
	rdb       redis.UniversalClient
	client    *asynq.Client
	inspector *asynq.Inspector
}

// New returns a queue on a Redis client that stays the caller's.
func New(rdb redis.UniversalClient) *Queue {
	return &Queue{rdb: rdb, client: asynq.NewClientFromRedisClient(rdb), inspector: asynq.NewInspectorFromRedisClient(rdb)}
}

// Wake queues one wake-up call; one that is queued already is no error. asynq's
// own retries and timeouts carry no meaning: they are set so as not to interfere.
func (q *Queue) Wake(ctx context.Context, name string, p Pointer) error {
	p.Version = version
	payload, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("wake %s: %w", p.taskID(), err)
	}
	kind := TypeSend
	if p.Batch == "" {
		kind = TypePlan
	}
	_, err = q.client.EnqueueContext(ctx, asynq.NewTask(kind, payload),
		asynq.Queue(name), asynq.TaskID(p.taskID()), asynq.MaxRetry(25), asynq.Timeout(24*time.Hour))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("wake %s: %w", p.taskID(), err)
	}
	return nil
}

// Place is where a wake-up call is.
type Place uint8

// The places. Lost covers done, archived and a queue that is not there.
const (
	Lost Place = iota
	Waiting
	Running
)

// Find says where a wake-up call is.
func (q *Queue) Find(name string, p Pointer) (Place, error) {
	info, err := q.inspector.GetTaskInfo(name, p.taskID())
	if errors.Is(err, asynq.ErrQueueNotFound) || errors.Is(err, asynq.ErrTaskNotFound) {
		return Lost, nil
	}
	if err != nil {
		return Lost, fmt.Errorf("find task %s: %w", p.taskID(), err)
	}
	switch info.State {
	case asynq.TaskStatePending, asynq.TaskStateScheduled, asynq.TaskStateRetry:
		return Waiting, nil
	case asynq.TaskStateActive:
		return Running, nil
	}
	return Lost, nil
}

// Length is how many wake-up calls wait in a queue for a worker to take them. It is
// one command, where asynq's own inspector counts everything.
func (q *Queue) Length(ctx context.Context, name string) (int64, error) {
	n, err := q.rdb.LLen(ctx, pendingKey(name)).Result()
	if err != nil {
		return 0, fmt.Errorf("length of queue %s: %w", name, err)
	}
	return n, nil
}
