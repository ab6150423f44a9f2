package queue

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Place says where in the queue a wake-up is.
type Place uint8

// The places of a wake-up, with the numbers that find.lua returns. Lost also means that the wake-up
// is done or archived.
const (
	Lost Place = iota
	Waiting
	Running
)

//go:embed find.lua
var findSource string

var findScript = redis.NewScript(findSource)

// Find returns the place of a wake-up in the queue with the given name. If Redis has lost the part of
// the queue from which asynq would take the wake-up, Find deletes the record of the wake-up, and
// returns Lost.
func (q *Queue) Find(ctx context.Context, name string, p Pointer) (Place, error) {
	id := p.taskID()
	root := "asynq:{" + name + "}:"
	n, err := findScript.Run(ctx, q.rdb, []string{root + "t:" + id, pendingKey(name), root + "scheduled", root + "retry"}, id).Int()
	if err != nil {
		return Lost, fmt.Errorf("find task %s: %w", id, err)
	}
	return Place(n), nil
}
