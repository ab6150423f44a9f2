package ledger

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Movable has the recipients of a batch that may move to another account. These recipients have
// certainly not been sent, and do not wait for a back-off.
type Movable struct {
	Batch string
	// Upload is the token of the campaign's upload. Campaigns that used the same ID one after the
	// other have different tokens.
	Upload string
	// To has the recipients, in the order of the batch.
	To []campaign.Planned
	// The field "Been" lists the streams in which the recipients have been, first the stream of the
	// batch.
	Been []int
	gens []movableGen
}

// movableGen has the recipients of a generation that may move.
type movableGen struct {
	gen       *Generation
	to        []campaign.Planned
	positions []uint16
}

// Movable returns the recipients of a batch that may move to another account at the time "now",
// by Redis' clock. Recipients that are in flight, are in doubt or were once unknown must not
// move. Movable returns ErrNotFound if the batch does not exist.
func (l *Ledger) Movable(ctx context.Context, id, batch string, now time.Time) (*Movable, error) {
	w, err := l.LoadWork(ctx, id, batch)
	if err != nil {
		return nil, err
	}
	m := &Movable{Batch: batch, Upload: w.Upload}
	for _, name := range append([]string{batch}, w.from...) {
		a, err := campaign.BatchStream(name)
		if err != nil {
			return nil, fmt.Errorf("read movable recipients of %s: %w", id, err)
		}
		m.Been = append(m.Been, a)
	}
	for _, g := range w.Open {
		if g.claimed || g.Doubtful || now.Before(g.Due) {
			continue
		}
		once, err := l.records.onceUnknown(ctx, id, batch, g)
		if err != nil {
			return nil, err
		}
		x := movableGen{gen: g}
		for i, to := range g.To {
			if p := g.position(i); !once[p] {
				x.to, x.positions = append(x.to, to), append(x.positions, p)
				m.To = append(m.To, to)
			}
		}
		if len(x.to) > 0 {
			m.gens = append(m.gens, x)
		}
	}
	return m, nil
}

// position returns the position of the recipient g.To[i] in the call.
func (g *Generation) position(i int) uint16 {
	if g.positions == "" {
		return uint16(i)
	}
	return binary.BigEndian.Uint16([]byte(g.positions[2*i : 2*i+2]))
}

// onceUnknown returns the positions of recipients that were unknown before a retry or a resend.
// The account of such a recipient may still report an outcome.
func (l recordReader) onceUnknown(ctx context.Context, id, batch string, g *Generation) (map[uint16]bool, error) {
	if g.Number == 0 {
		return nil, nil
	}
	got, err := l.rdb.HMGet(ctx, ledgerKey(id), callResultField(batch, g.Call)).Result()
	if err != nil {
		return nil, fmt.Errorf("read movable recipients of %s: %w", id, err)
	}
	records, err := callRecords(got[0], g.CallSize)
	if err != nil {
		return nil, unreadable(id, callResultField(batch, g.Call), script.Text(got[0]), err)
	}
	once := map[uint16]bool{}
	for i := range g.To {
		p := g.position(i)
		once[p] = records[p].Before != nil
	}
	return once, nil
}

// Moved is the result of a move.
type Moved struct {
	// Count is how many recipients moved.
	Count int
	// Wakes are the wakes of the new batches, which are handed out at once. They include batches of
	// the old account that were handed out because the move closed open batches.
	Wakes []Wake
}

// Move moves recipients to batches of other accounts. The function chooseAccount gets a recipient
// and its body (empty in a plain campaign). It returns the index in f.Accounts of the recipient's
// new account, or -1 if the recipient stays. The body moves with the recipient. A recipient is
// never in two batches.
//
// If the batch has changed since it was read, nothing moves, and Move returns no error. The same
// is true if the campaign is over, stopped or being retried. After an error, the caller may
// repeat Move with the same token. openBatchLimit is the open-batch limit of the batch's account.
func (l *Ledger) Move(ctx context.Context, id, token string, m *Movable, f campaign.PlanSnapshot, openBatchLimit int, chooseAccount func(p campaign.Planned, body string) int) (Moved, error) {
	going := make([][]campaign.Call, len(f.Accounts))
	var gens []any
	count, parts := 0, 0
	for _, g := range m.gens {
		var positions []byte
		for i, p := range g.to {
			a := chooseAccount(p, g.gen.Body)
			if a < 0 || a >= len(going) {
				continue
			}
			going[a] = appendTo(going[a], p, g.gen.Body, f.Accounts[a])
			positions = binary.BigEndian.AppendUint16(positions, g.positions[i])
			count++
		}
		if len(positions) > 0 {
			gens = append(gens, script.Args(movedGenerationArgs{
				Call: g.gen.Call, Generation: g.gen.Number, Revision: g.gen.Revision, CallSize: g.gen.CallSize, Positions: positions,
			})...)
			parts++
		}
	}
	if count == 0 {
		return Moved{}, nil
	}
	args := append(script.Args(moveArgs{Token: token, Batch: m.Batch, OpenBatchLimit: openBatchLimit, Generations: parts}), gens...)
	for a, list := range going {
		stream := f.SameHoursFor(m.Been[0], a)
		for len(list) > 0 {
			b, n := f.Accounts[a].Fill(stream, list)
			batch, bodies := batchRecords(b)
			args = append(args, script.Args(newBatchArgs{Name: l.movedName(stream), Calls: len(b.Calls), Recipients: len(b.To), Record: batch, Bodies: bodies})...)
			list = list[n:]
		}
	}
	out, err := l.runOn(ctx, moveScript, id, m.Upload, nil, args...)
	if err != nil {
		return Moved{}, err
	}
	if out[0] != "moved" {
		return Moved{}, nil
	}
	wakes, _, err := answerWakes(out)
	return Moved{Count: count, Wakes: wakes}, err
}

// moveArgs are the first arguments of move.lua.
type moveArgs struct {
	Token, Batch   string
	OpenBatchLimit int
	Generations    int
}

// movedGenerationArgs are the arguments of move.lua for each generation.
type movedGenerationArgs struct {
	Call, Generation int
	Revision         string
	CallSize         int
	Positions        []byte
}

// newBatchArgs are the arguments of move.lua for each new batch.
type newBatchArgs struct {
	Name              string
	Calls, Recipients int
	Record, Bodies    []byte
}

// appendTo adds a recipient to the last call that has the recipient's body. If that call is full,
// or if the body is in no call yet, appendTo adds a new call.
func appendTo(calls []campaign.Call, p campaign.Planned, body string, a campaign.SnapshotAccount) []campaign.Call {
	for i := len(calls) - 1; i >= 0; i-- {
		if calls[i].Body == body && len(calls[i].To) < a.CallSize() {
			calls[i].To = append(calls[i].To, p)
			return calls
		}
		if body == "" {
			break
		}
	}
	return append(calls, campaign.Call{Body: body, To: []campaign.Planned{p}})
}

// movedBase is the lowest number of a batch to which recipients move. The numbers from there on
// are random, because Redis may lose a move and Tuma then makes another move. An outcome for a
// batch of the lost move must never be applied to a batch of the later move.
const movedBase uint64 = 1_000_000_000_000

func (l *Ledger) movedName(stream int) string {
	return fmt.Sprintf("%d.%d", stream, movedBase+l.drawNumber()%(8*movedBase))
}

func randomNumber() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // Read never returns an error: crypto/rand ends the program instead
	return binary.BigEndian.Uint64(b[:])
}

// replaceMoved replaces the rows of recipients that have moved. The new row is from the batch
// that has the recipient now.
func (l recordReader) replaceMoved(ctx context.Context, id string, b *Batch, rows []Row, r *rowReading) error {
	if !slices.ContainsFunc(rows, func(x Row) bool { return x.Moved }) {
		return nil
	}
	to, err := l.movedTo(ctx, id, b.Name)
	if err != nil {
		return err
	}
	now := map[int]Row{}
	for _, name := range to {
		other, err := l.batch(ctx, id, name)
		if err != nil {
			return err
		}
		more, err := l.rowsAt(ctx, id, other, r)
		if err != nil {
			return err
		}
		for _, x := range more {
			if !x.Moved {
				now[x.Row] = x
			}
		}
	}
	for i, x := range rows {
		if y, ok := now[x.Row]; ok && x.Moved {
			rows[i] = y
		}
	}
	return nil
}

// movedTo returns the batches to which recipients of a batch have moved.
func (l recordReader) movedTo(ctx context.Context, id, name string) ([]string, error) {
	got, err := l.fields(ctx, id, movedToField(name))
	if err != nil {
		return nil, fmt.Errorf("read the batches to which recipients of batch %s of %s moved: %w", name, id, err)
	}
	return strings.Fields(script.Text(got[0])), nil
}

// batch reads one batch. It returns ErrNotFound if the batch does not exist.
func (l recordReader) batch(ctx context.Context, id, name string) (*Batch, error) {
	got, err := l.fields(ctx, id, batchField(name), bodiesField(name))
	if err != nil {
		return nil, fmt.Errorf("read batch %s of %s: %w", name, id, err)
	}
	if got[0] == nil {
		return nil, fmt.Errorf("read batch %s of %s: %w", name, id, ErrNotFound)
	}
	return readBatch(id, name, got[0], got[1])
}

// Waiting describes the batches of a campaign that are not settled.
type Waiting struct {
	// Open has the open batches of all streams.
	Open []string
	// Next has, for each stream, the number of the first batch that is not handed out. Planned
	// has, for each stream, the number of planned batches.
	Next, Planned []int
}

// Waiting reads the state of a campaign's batches.
func (l *Ledger) Waiting(ctx context.Context, id string, streams int) (*Waiting, error) {
	var fields []string
	for a := range streams {
		fields = append(fields, nextField(a), plannedField(a))
	}
	var open *redis.StringSliceCmd
	var counts *redis.SliceCmd
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		open, counts = p.ZRange(ctx, openKey(id), 0, -1), p.HMGet(ctx, ledgerKey(id), fields...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read waiting batches of %s: %w", id, err)
	}
	w := &Waiting{Open: slices.DeleteFunc(open.Val(), func(s string) bool { return s == PlanWork })}
	for a := range streams {
		w.Next, w.Planned = append(w.Next, script.Int(counts.Val()[2*a])), append(w.Planned, script.Int(counts.Val()[2*a+1]))
	}
	return w, nil
}
