package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// With a proof, report.lua need not read all records of a call. A proof consists of the length of the
// records and the record of a settled generation. As long as Redis has the same length and the same
// record, the recipients accepted in that generation have the same messages. So what the process has
// read is still true.

// callRef names a call of a campaign.
type callRef struct {
	campaign, upload, batch string
	call                    int
}

// callProof is what a process has read of a call. The slice "ids" has, for each recipient, the hash
// of the stored form of the message's ID, or 0 if the recipient was not accepted. The slice
// "generations" has, for each recipient, the generation in which the recipient was accepted. The
// map "settled" has the record of each of these generations.
type callProof struct {
	length      int
	ids         []uint64
	generations []uint16
	settled     map[uint16]string
}

// proofs keeps the proofs of the calls that were read last. It is safe for concurrent use.
type proofs struct {
	seed maphash.Seed

	mu   sync.Mutex
	held int // recipients in byCall
	// byCall has nil for a call without accepted recipients.
	byCall map[callRef]*callProof
}

// mostProved is the number of recipients whose proofs are kept. A recipient takes ten bytes.
const mostProved = 2_000_000

func newProofs() *proofs { return &proofs{seed: maphash.MakeSeed(), byCall: map[callRef]*callProof{}} }

// The method "hash" returns the hash of the stored form of a message ID. It is never 0.
func (p *proofs) hash(stored []byte) uint64 { return max(1, maphash.Bytes(p.seed, stored)) }

func (p *proofs) get(c callRef) *callProof {
	p.mu.Lock()
	defer p.mu.Unlock()
	proof := p.byCall[c]
	return proof
}

func (p *proofs) put(c callRef, proof *callProof) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(c)
	for old := range p.byCall {
		if p.held+len(proof.ids) <= mostProved {
			break
		}
		p.remove(old)
	}
	p.byCall[c] = proof
	p.held += len(proof.ids)
}

// drop removes the proof of a call, because the call has changed.
func (p *proofs) drop(c callRef) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(c)
}

func (p *proofs) remove(c callRef) {
	if old := p.byCall[c]; old != nil {
		p.held -= len(old.ids)
		delete(p.byCall, c)
	}
}

// The method "proof" returns the proof that a recipient was accepted with a message ID. ok is false if the
// callProof does not prove that.
func (p *callProof) proof(position int, hash uint64) (generation, record string, ok bool) {
	if p == nil || position < 0 || position >= len(p.ids) || p.ids[position] != hash {
		return "", "", false
	}
	record, ok = p.settled[p.generations[position]]
	return strconv.Itoa(int(p.generations[position])), record, ok
}

// The method "read" reads the calls that have no proof yet. A call whose records cannot be read gets no proof.
func (p *proofs) read(ctx context.Context, rdb redis.UniversalClient, calls []callRef) error {
	var missing []callRef
	seen := map[callRef]bool{}
	for _, c := range calls {
		if !seen[c] && p.get(c) == nil {
			missing = append(missing, c)
		}
		seen[c] = true
	}
	if len(missing) == 0 {
		return nil
	}
	got := make([]*redis.SliceCmd, len(missing))
	_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, c := range missing {
			got[i] = pipe.HMGet(ctx, ledgerKey(c.campaign), fieldUpload, callResultField(c.batch, c.call))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read calls: %w", err)
	}
	read := make([]*callProof, len(missing))
	for i, c := range missing {
		if fields := got[i].Val(); script.Text(fields[0]) == c.upload {
			read[i] = p.parse(script.Text(fields[1]))
		}
	}
	return p.readSettled(ctx, rdb, missing, read)
}

// readSettled reads the records of the generations of the calls, and adds each call to p.
func (p *proofs) readSettled(ctx context.Context, rdb redis.UniversalClient, calls []callRef, read []*callProof) error {
	type record struct {
		generation uint16
		text       *redis.StringCmd
	}
	records := make([][]record, len(calls))
	_, err := rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for i, c := range calls {
			if read[i] == nil {
				continue
			}
			for g := range read[i].settled {
				field := generationField(c.batch, strconv.Itoa(c.call)+"."+strconv.Itoa(int(g)))
				records[i] = append(records[i], record{g, pipe.HGet(ctx, ledgerKey(c.campaign), field)})
			}
		}
		return nil
	})
	if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns the first command's own error
		return fmt.Errorf("read generations: %w", err)
	}
	for i, c := range calls {
		if read[i] == nil {
			continue
		}
		for _, r := range records[i] {
			if _, settled := splitGeneration(r.text.Val()); settled != nil {
				read[i].settled[r.generation] = r.text.Val()
			} else {
				delete(read[i].settled, r.generation)
			}
		}
		p.put(c, read[i])
	}
	return nil
}

// parse reads the records of a call. It returns nil if they have no accepted recipient, or cannot be
// read.
func (p *proofs) parse(records string) *callProof {
	out := &callProof{length: len(records), settled: map[uint16]string{}}
	for b := []byte(records); len(b) > 0; {
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return nil
		}
		status, detail := campaign.Status(b[0]), b[2:2+int(b[1])]
		b = b[2+len(detail):]
		hash, generation := uint64(0), uint16(0)
		if id := idOf(detail); status == campaign.Accepted && id != nil {
			hash, generation = p.hash(id), binary.BigEndian.Uint16(detail)
			out.settled[generation] = ""
		}
		out.ids, out.generations = append(out.ids, hash), append(out.generations, generation)
	}
	if len(out.settled) == 0 {
		return nil
	}
	return out
}

// idOf returns the stored form of the message ID at the beginning of a detail. It returns nil if
// the detail does not begin with a message ID.
func idOf(detail []byte) []byte {
	if len(detail) < 4 {
		return nil
	}
	size := 2 + int(detail[3])
	switch detail[2] {
	case tagUUID:
		size = 17
	case tagID, tagATXID:
	default:
		return nil
	}
	if len(detail) < 2+size {
		return nil
	}
	return detail[2 : 2+size]
}
