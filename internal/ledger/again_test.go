package ledger

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"strings"

	"github.com/redis/go-redis/v9"
)

// replayHook is a go-redis hook that repeats a script with the same arguments, as go-redis does
// when an answer is lost. While it is armed, every script runs twice and the caller gets the second
// answer. The hook records a problem if the second run changes the ledger or gives another answer.
type replayHook struct {
	armed    bool
	snapshot func() (string, error)
	scripts  int
	problems []string
	// The field "late" has the arguments of scripts that have run. A repeated run with the same arguments
	// must change nothing, however late it is.
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
		// After the answer "busy" or "changed", the same script may succeed later. So its arguments are not
		// added to the field "late".
		if answer := fmt.Sprint(first.Val()); a.keep != nil && a.keep(cmd.Args()) && !strings.HasPrefix(answer, "[busy") && !strings.HasPrefix(answer, "[changed") {
			a.late = append(a.late, cmd.Args())
		}
		if !a.armed {
			return nil
		}
		a.armed = false // the hook must not repeat the commands of the snapshot
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
			a.problems = append(a.problems, fmt.Sprintf("I6: a repeated script changed the ledger: %v\nbefore:\n%s\nafter:\n%s", cmd.Args()[4:], before, after))
		}
		hash := fmt.Sprint(cmd.Args()[1])
		if cmd.Name() == "eval" { // go-redis sends EVAL with the source when Redis does not have the script yet
			hash = redis.NewScript(hash).Hash()
		}
		if hash == reportHash {
			return nil // the answers differ: the second run answers "repeated"
		}
		if hash == topUpScript.Hash() {
			return nil // a repeated run of top_up.lua returns no wakes; the header of top_up.lua has the reason
		}
		if x, y := withoutTimes(first.Val()), withoutTimes(second.Val()); !reflect.DeepEqual(x, y) {
			a.problems = append(a.problems, fmt.Sprintf("I6: a repeated script answered %v, the first time %v: %v", y, x, cmd.Args()[4:]))
		}
		first.SetVal(second.Val())
		return nil
	}
}

// reportHash is the hash of report.lua, which has a flags line.
var reportHash = redis.NewScript("#!lua flags=allow-oom\n" + mustSource("prelude") + mustSource("report")).Hash()

// withoutTimes returns a script's answer without times.
func withoutTimes(v any) any {
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
