//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"time"
)

// pauseInFlight matches the output of `tuma pause` about calls in flight.
var pauseInFlight = regexp.MustCompile(`(\d+) calls?, to (\d+) recipients?, had begun before`)

// measurePauses pauses and resumes a campaign that is sent at full speed. The field o.times is the
// number of pauses. The first, third, fifth … pause waits for the calls in flight, so no message may
// arrive after it. The second, fourth … pause has the flag --no-wait, and prints the number of calls
// in flight. After a pause with --no-wait, only the messages of these calls may arrive.
func measurePauses(ctx context.Context, o flowOptions) ([]string, error) {
	var b bounds
	const lasts = 400 * time.Millisecond // the longest duration of one pause and resume
	r, err := newFlowRig(ctx, o, flowSetup{workers: 2, latency: 10 * time.Millisecond, counting: true,
		accounts: []flowAccount{{gateway: measured, rate: `"0"`, perCall: 1}}})
	if err != nil {
		return nil, err
	}
	defer r.end()
	if err := r.enqueue(ctx, "sale", measured, "ACME", o.times*int(2000*lasts/time.Second), 0); err != nil {
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
	fmt.Printf("\n%d pauses at full speed: %d messages arrived after tuma pause, %d unreported messages after tuma pause --no-wait; %d of %d accepted twice\n",
		o.times, late, unreported, st.Duplicates, st.Accepted)
	b.check(late == 0, "%d messages arrived after tuma pause had returned, must be 0", late)
	b.check(unreported == 0, "%d messages arrived after tuma pause --no-wait that it had not reported, must be 0", unreported)
	b.check(st.Duplicates == 0, "%d messages were sent twice, must be 0", st.Duplicates)
	b.check(moved == o.times, "no message arrived before the pause in %d rounds, must be 0 rounds", o.times-moved)
	return b.broken, nil
}

func (r *flowRig) accepted() int64 { return r.gateway.Stats().Accepted }
