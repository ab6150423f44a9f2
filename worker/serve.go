package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/prefix"
	"github.com/tuma-sms/tuma/internal/queue"
)

// Planning has two queues with separate slots, so that a small campaign never waits for the
// planning of large ones.
const (
	smallPlans = 4
	largePlans = 2
)

// Config.PollEvery is the length of a period. In each period an asynq server looks for a task up to
// triesPerPoll times, so that it notices a new task sooner. A queue.Gate answers most of these attempts
// and sends Redis no command for them. All servers together make at most triesOfAll attempts in a
// period, because each attempt costs an idle worker a few microseconds.
const triesPerPoll, triesOfAll = 16, 96

// servers returns one asynq server for each of an account's two queues, and one for each of the two
// planning queues. So if a gateway hangs, only the slots of its account are blocked. A
// transactional call can request its turn even while bulk calls wait. The two servers of an account
// together never make more calls at once than the account's concurrency.
func (w *Worker) servers() []*asynq.Server {
	slots := map[string]int{queue.PlanSmall: smallPlans, queue.PlanLarge: largePlans}
	for _, a := range w.accounts {
		now, bulk := queue.SendQueues(a.Name)
		slots[now], slots[bulk] = a.Concurrency, a.Concurrency
	}
	rdb, every := w.cfg.Redis, w.cfg.PollEvery
	if gate := queue.NewGate(rdb, every, slices.Sorted(maps.Keys(slots))); gate != nil {
		rdb, every = gate.Client(), every/time.Duration(max(1, min(triesPerPoll, triesOfAll/len(slots))))
	}
	var out []*asynq.Server
	for name, n := range slots {
		out = append(out, w.server(rdb, every, n, name))
	}
	return out
}

func (w *Worker) server(rdb redis.UniversalClient, every time.Duration, concurrency int, name string) *asynq.Server {
	return asynq.NewServerFromRedisClient(prefix.Subscriber(rdb, w.cfg.Prefix), asynq.Config{
		Concurrency:              concurrency,
		Queues:                   map[string]int{name: 1},
		TaskCheckInterval:        every,
		DelayedTaskCheckInterval: 3 * time.Second,
		// A handler that failed has changed nothing, so asynq runs its task again after 2 s.
		RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return 2 * time.Second },
		// A short time is enough, because Run itself waits for the handlers. After this time, asynq
		// queues the tasks of running handlers again.
		ShutdownTimeout: time.Second,
		ErrorHandler:    asynq.ErrorHandlerFunc(w.taskFailed),
		LogLevel:        asynq.WarnLevel,
		Logger:          asynqLogger{w.log, w.levelOf},
	})
}

func shutdown(servers []*asynq.Server) {
	for _, s := range servers {
		s.Shutdown()
	}
}

// The method "handle" processes one task, which is planning or sending a batch.
func (w *Worker) handle(task context.Context, t *asynq.Task) error {
	p, err := queue.DecodeTask(t)
	if errors.Is(err, queue.ErrNewer) {
		return err // a newer release of Tuma wrote the task; asynq repeats the task until a newer worker takes it
	}
	if err != nil {
		return w.quarantinePayload(task, t, err)
	}
	if !w.running.TryRLock() {
		return w.waker.HandOver(p) // this worker began to drain after asynq had taken the task
	}
	defer w.running.RUnlock()
	// asynq cancels the context of its handler at shutdown, and when asynq loses its lease on
	// the task. The work must continue then, so the work has a separate context. The claims in
	// the ledger keep other workers from doing the same work.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if p.Batch == "" {
		return w.quarantine.Unreadable(ctx, p.Campaign, ledger.PlanWork, w.plan(ctx, p))
	}
	stream, known, err := w.streamOf(ctx, p)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if u := ledger.AsUnreadable(err); u != nil {
		return w.quarantine.Record(ctx, p.Campaign, "", u, false)
	}
	if err != nil {
		return err
	}
	if !known {
		return w.quarantinePayload(task, t, fmt.Errorf("task names batch %.40q, which campaign %s does not have: %w", p.Batch, p.Campaign, queue.ErrPayload))
	}
	acc := w.accounts[stream.Account.Name]
	if acc == nil {
		return fmt.Errorf("account %s is not served by this worker", stream.Account.Name)
	}
	return w.sender.Send(ctx, acc.sending, p)
}

// streamOf returns the stream of the batch that a task names. The result "known" is false if the
// campaign cannot have such a batch. streamOf returns ledger.ErrNotFound if another campaign has
// taken the ID of the task's campaign, or if Redis lost the plan that had the batch.
func (w *Worker) streamOf(ctx context.Context, p queue.Pointer) (stream campaign.Stream, known bool, err error) {
	stale := false
	for range 2 {
		camp, err := w.campaigns.Get(ctx, p.Campaign)
		if err != nil {
			return stream, false, err
		}
		stale = camp.Replaced || len(camp.Snapshot.Accounts) == 0
		if stream, err = camp.Snapshot.StreamOf(p.Batch); err == nil && (!camp.Replaced || w.accounts[stream.Account.Name] != nil) {
			return stream, true, nil
		}
		w.campaigns.Forget(p.Campaign) // another campaign may have taken the ID after the worker read its campaign
	}
	if stale {
		return stream, false, fmt.Errorf("find batch %.40q of campaign %s: %w", p.Batch, p.Campaign, ledger.ErrNotFound)
	}
	return stream, false, nil
}

// The method "plan" runs a planning task. A small campaign has no separate task for its first
// batch, so the method also sends this batch.
func (w *Worker) plan(ctx context.Context, p queue.Pointer) error {
	first, err := w.planner.Plan(ctx, p)
	if err != nil || first == nil {
		return err
	}
	return w.sender.Send(ctx, w.accounts[first.Account].sending, first.Pointer)
}

// quarantinePayload quarantines the payload of a task, for the given reason.
func (w *Worker) quarantinePayload(task context.Context, t *asynq.Task, why error) error {
	id, _ := asynq.GetTaskID(task)
	return w.quarantine.Payload(task, t.Type(), id, t.Payload(), why)
}

// taskFailed logs a handler's error. See levelOf.
func (w *Worker) taskFailed(_ context.Context, t *asynq.Task, err error) {
	w.log.WithLevel(w.levelOf(err, zerolog.ErrorLevel)).Err(err).Str("task", t.Type()).Msg("task failed")
}
