package ledger

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// StartPlan starts or continues planning. newSnapshot returns the snapshot to store if planning has
// not started; otherwise StartPlan uses the stored snapshot. StartPlan returns nil without an error
// if the campaign is planned already, is stopped or starts later.
func (l *Ledger) StartPlan(ctx context.Context, id string, newSnapshot func(campaign.Spec) (campaign.PlanSnapshot, error)) (*Plan, error) {
	// The token is read before the spec. If plan_start.lua still finds this token, the spec belongs
	// to the same upload.
	upload, _, err := l.Index().Upload(ctx, id)
	if err != nil {
		return nil, err
	}
	spec, err := l.Spec(ctx, id)
	if err != nil {
		return nil, err
	}
	snapshot, err := newSnapshot(spec)
	if err != nil {
		return nil, err
	}
	record, err := encodeSnapshot(snapshot)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", id, err)
	}
	out, err := l.runOn(ctx, planStartScript, id, upload, nil,
		script.Args(planStartArgs{Snapshot: record, Watch: planWatch, SendingHours: encodeSendingHours(snapshot.SendingHours), Streams: snapshot.CountedStreams()})...)
	if err != nil || out[0] != "go" {
		return nil, err
	}
	if len(out) < 5 {
		return nil, script.ErrAnswer
	}
	p := &Plan{ID: id, Spec: spec, ledger: l, upload: upload, record: out[1] + " " + out[4]}
	if p.Snapshot, err = decodeSnapshot(out[1], out[4]); err != nil {
		return nil, unreadable(id, fieldSnapshot, out[1], err)
	}
	if p.Next, err = strconv.Atoi(out[2]); err != nil {
		return nil, unreadable(id, fieldNextPage, out[2], campaign.ErrRecord)
	}
	if p.Carry, err = decodeCarry([]byte(out[3]), p.Snapshot.Streams(), spec.Personalized()); err != nil {
		return nil, unreadable(id, fieldCarry, out[3], err)
	}
	sizes, err := l.rdb.HMGet(ctx, ledgerKey(id), fieldTotal, fieldPages).Result()
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", id, err)
	}
	p.Total, p.Pages = script.Int(sizes[0]), script.Int(sizes[1])
	return p, nil
}

// planStartArgs are the arguments of plan_start.lua.
type planStartArgs struct {
	Snapshot     []byte
	Watch        time.Duration
	SendingHours string
	Streams      int
}
