package ledger

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"strings"

	"github.com/redis/go-redis/v9"
)

// again is a go-redis hook that does what go-redis does when an answer is lost:
// it runs a script again with the same arguments. While armed, every script runs
// twice, the caller gets the second answer, and what the second run changed or
// answered otherwise is noted.
type replayHook struct {
	armed    bool
	snapshot func() (string, error)
	scripts  int
	problems []string
	// late are the arguments of scripts that must change nothing however late they are said again.
	late [][]any
	keep func(args []any) bool
}

func (a *replayHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (a *replayHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a *replayHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		first, ok := cmd.(*redis.Cmd)
		if !ok || err != nil || cmd.Name() != "evalsha" && cmd.Name() != "eval" {
			return err
		}
		a.scripts++
		// What was refused for now may well be done later.
		if answer := fmt.Sprint(first.Val()); a.keep != nil && a.keep(cmd.Args()) && !strings.HasPrefix(answer, "[busy") && !strings.HasPrefix(answer, "[changed") {
			a.late = append(a.late, cmd.Args())
		}
		if !a.armed {
			return nil
		}
		a.armed = false // the snapshot is not to be repeated
		defer func() { a.armed = true }()
		before, err := a.snapshot()
		if err != nil {
			return err
		}
		second := redis.NewCmd(ctx, cmd.Args()...)
		if err := next(ctx, second); err != nil {
			return err
		}
		after, err := a.snapshot()
		if err != nil {
			return err
		}
		if before != after {
			a.problems = append(a.problems, fmt.Sprintf("I6: the same script again changed the ledger: %v\nbefore:\n%s\nafter:\n%s", cmd.Args()[4:], before, after))
		}
		hash := fmt.Sprint(cmd.Args()[1])
		if cmd.Name() == "eval" { // the first time
			hash = redis.NewScript(hash).Hash()
		}
		if hash == topUpScript.plain.Hash() {
			return nil // the one script that says its wakes once: top_up.lua tells why
		}
		if x, y := timeless(first.Val()), timeless(second.Val()); !reflect.DeepEqual(x, y) {
			a.problems = append(a.problems, fmt.Sprintf("I6: the same script again answered %v, at first %v: %v", y, x, cmd.Args()[4:]))
		}
		first.SetVal(second.Val())
		return nil
	}
}

// timeless is a script's answer without times.
func timeless(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	out := make([]any, len(list))
	for i, x := range list {
		out[i] = aTime.ReplaceAllString(fmt.Sprint(x), "<time>")
	}
	return out
}
