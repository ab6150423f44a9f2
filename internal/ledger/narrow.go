package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// ErrCanary means that a change must wait until the campaign's canary has ended.
var ErrCanary = errors.New("the canary has not ended")

// Narrow removes recipients from a ready generation because they have opted out. optedOut maps the
// index of each such recipient in g.To to the recipient's suppression list. If the generation has
// changed since it was read, Narrow changes nothing and Settled.Stale is true. If the generation
// waits for the canary to end, Narrow changes nothing and returns ErrCanary.
func (l *Ledger) Narrow(ctx context.Context, id, token, batch string, g *Generation, optedOut map[int]string, openBatchLimit int) (Settled, error) {
	var positions, blob []byte
	for i := range g.To {
		list, ok := optedOut[i]
		if !ok {
			continue
		}
		positions = binary.BigEndian.AppendUint16(positions, g.position(i))
		blob = appendRecord(blob, campaign.Record{Status: campaign.Skipped, Generation: g.Number, Reason: campaign.ReasonOptedOut, Code: campaign.ListCode(list)})
	}
	out, err := l.runOn(ctx, narrowScript, id, g.upload, nil, script.Args(narrowArgs{
		Token: token, Batch: batch, Call: g.Call, Generation: g.Number, Revision: g.Revision, CallSize: g.CallSize,
		OpenBatchLimit: openBatchLimit, Positions: positions, Records: blob,
	})...)
	if err != nil {
		return Settled{}, err
	}
	if out[0] == "canary" {
		return Settled{}, fmt.Errorf("remove opted-out recipients from batch %s of %s: %w", batch, id, ErrCanary)
	}
	if out[0] != "narrowed" {
		return Settled{Stale: true}, nil
	}
	wakes, done, err := answerWakes(out)
	return Settled{Wakes: wakes, Done: done}, err
}

// narrowArgs are the arguments of narrow.lua.
type narrowArgs struct {
	Token, Batch       string
	Call, Generation   int
	Revision           string
	CallSize           int
	OpenBatchLimit     int
	Positions, Records []byte
}
