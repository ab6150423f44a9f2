package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// preparer makes the commands of a wake-up without sending them. It lets asynq's client write to a
// Redis client that records its commands, so that keys and encoding are always those of the asynq
// version in use. It is safe for concurrent use.
type preparer struct {
	client *asynq.Client

	mu sync.Mutex
	// The map "announce" has, for each queue, the command with which asynq announces the queue. asynq
	// sends this command once for each client. A preparer adds the command to each pipeline until one
	// such pipeline has run.
	announce map[string][]any
}

// The type "recorded" is the key of the context value that receives the commands, a *[]redis.Cmder.
type recorded struct{}

// recorder is a redis.Hook that records commands, and answers them like Redis.
type recorder struct{}

// errNotRecorded means that asynq has sent a command that the recorder cannot answer.
var errNotRecorded = errors.New("asynq has sent an unexpected command")

// DialHook implements redis.Hook.
func (recorder) DialHook(redis.DialHook) redis.DialHook { return nil }

// ProcessHook implements redis.Hook.
func (recorder) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		list, ok := ctx.Value(recorded{}).(*[]redis.Cmder)
		switch c := cmd.(type) {
		case *redis.Cmd:
			c.SetVal(int64(1))
		case *redis.IntCmd:
			c.SetVal(1)
		default:
			ok = false
		}
		if !ok {
			cmd.SetErr(errNotRecorded)
			return errNotRecorded
		}
		*list = append(*list, cmd)
		return nil
	}
}

// ProcessPipelineHook implements redis.Hook.
func (recorder) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			cmd.SetErr(errNotRecorded)
		}
		return errNotRecorded
	}
}

func newPreparer() *preparer {
	// The hook answers every command, so the client never connects. With protocol 2 the client does not start a
	// goroutine. If maintenance notifications were on, NewClient would first look up the address in DNS, for up to two
	// seconds.
	rdb := redis.NewClient(&redis.Options{Addr: "recorder", Protocol: 2,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	rdb.AddHook(recorder{})
	return &preparer{client: asynq.NewClientFromRedisClient(rdb), announce: map[string][]any{}}
}

// prepare returns the commands that enqueue a task on the queue with the given name.
func (p *preparer) prepare(ctx context.Context, name string, task *asynq.Task, options ...asynq.Option) ([][]any, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []redis.Cmder
	if _, err := p.client.EnqueueContext(context.WithValue(ctx, recorded{}, &list), task, options...); err != nil {
		return nil, err
	}
	var out [][]any
	for _, cmd := range list {
		out = append(out, cmd.Args())
	}
	switch {
	case len(out) == 2 && out[0][0] == "sadd" && out[1][0] == "evalsha":
		p.announce[name] = out[0]
	case len(out) == 1 && out[0][0] == "evalsha":
		if first := p.announce[name]; first != nil {
			out = append([][]any{first}, out...)
		}
	default:
		return nil, errNotRecorded
	}
	return out, nil
}

// The method "announced" deletes the command that announces the queue, because this command has run.
func (p *preparer) announced(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.announce[name] = nil
}

// Prepared is a wake-up that can be added to a pipeline.
type Prepared struct {
	queue    *Queue
	name     string
	commands [][]any
}

// Prepare returns the commands that Wake sends for a wake-up, as the asynq version in use makes them.
func (q *Queue) Prepare(ctx context.Context, name string, p Pointer) (Prepared, error) {
	task, options, err := p.task(name)
	if err != nil {
		return Prepared{}, err
	}
	commands, err := q.preparer.prepare(ctx, name, task, options...)
	if err != nil {
		return Prepared{}, fmt.Errorf("wake %s: %w", p.taskID(), err)
	}
	return Prepared{q, name, commands}, nil
}

// Add adds the commands to a pipeline. If Redis does not have asynq's script, the commands fail with
// NOSCRIPT. Then the caller calls Wake.
func (p Prepared) Add(ctx context.Context, pipe redis.Pipeliner) {
	for _, c := range p.commands {
		pipe.Do(ctx, c...)
	}
}

// Done notes that the pipeline has run without an error.
func (p Prepared) Done() { p.queue.preparer.announced(p.name) }
