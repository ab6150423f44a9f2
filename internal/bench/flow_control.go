//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"time"
)

// begunBefore is what `tuma pause` says of calls in flight.
var pauseInFlight = regexp.MustCompile(`(\d+) calls?, to (\d+) recipients?, had begun before`)

// measurePauses pauses a campaign at full speed again and again: by turns waiting for
// what is in flight, after which nothing may come, and not waiting, after which
// nothing may come but what it has told of.
func measurePauses(ctx context.Context, o flowOptions) ([]string, error) {
	var b bounds
	const lasts = 400 * time.Millisecond // of a round, with some room
	r, err := newFlowRig(ctx, o, flowSetup{workers: 2, latency: 10 * time.Millisecond, counting: true,
		accounts: []flowAccount{{gateway: "kobo", rate: `"0"`, perCall: 1}}})
	if err != nil {
		return nil, err
	}
	defer r.end()
	if err := r.enqueue(ctx, "sale", "kobo", "ACME", o.times*int(2000*lasts/time.Second), 0); err != nil {
		return nil, err
	}
	if _, err := r.firstCall(ctx); err != nil {
		return nil, err
	}
	late, unreported, moved := 0, 0, 0
	for i := range o.times {
		args := []string{"pause", "sale"}
		if i%2 == 1 {
			args = append(args, "--no-wait")
		}
		had := r.accepted()
		if err := poll(ctx, 10*time.Second, "messages after a resume", func() (bool, error) { return r.accepted() > had+50, nil }); err != nil {
			return nil, err
		}
		cmd := r.command(args...)
		var output bytes.Buffer
		cmd.Stderr = &output
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("tuma pause: %w: %s", err, output.Bytes())
		}
		stood := r.accepted()
		if err := wait(ctx, time.Now().Add(100*time.Millisecond)); err != nil {
			return nil, err
		}
		came := int(r.accepted() - stood)
		switch told := pauseInFlight.FindSubmatch(output.Bytes()); {
		case i%2 == 0:
			late += came
		case told == nil:
			unreported += came
		default:
			unreported += max(0, came-atoi(string(told[2])))
		}
		if stood > had {
			moved++
		}
		if output, err := r.command("resume", "sale").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("tuma resume: %w: %s", err, output)
		}
	}
	st := r.gateway.Stats()
	fmt.Printf("\n%d pauses at full speed: %d messages after tuma pause, %d after tuma pause --no-wait that it had not told of; %d of %d accepted twice\n",
		o.times, late, unreported, st.Duplicates, st.Accepted)
	b.check(late == 0, "%d messages went after tuma pause had returned", late)
	b.check(unreported == 0, "%d messages went after tuma pause --no-wait that it had not told of", unreported)
	b.check(st.Duplicates == 0, "%d messages went twice", st.Duplicates)
	b.check(moved == o.times, "nothing moved in %d rounds", o.times-moved)
	return b.broken, nil
}

func (r *flowRig) accepted() int64 { return r.gateway.Stats().Accepted }
