package worker

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strconv"

	"github.com/google/uuid"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// requestNamespace is the UUIDv5 namespace of Tuma's idempotency keys.
var requestNamespace = uuid.MustParse("6f2b8a54-9c1d-5e7a-8b3f-2d4c6e8a0b1c")

// idempotencyKey derives the key of a request from its campaign, batch, call, generation, login,
// sender, body and recipients. The first claim stores the key. Later tries of the same request use
// the stored key.
func (s *batchSender) idempotencyKey(g *ledger.Generation) uuid.UUID {
	request := make([]byte, 0, 512)
	for _, x := range []string{s.acc.info.Name, s.acc.info.Fingerprint, s.sender(), s.body(g)} {
		request = append(binary.AppendUvarint(request, uint64(len(x))), x...)
	}
	if s.camp.spec.Flash {
		request = append(request, 'f')
	}
	for _, p := range g.To {
		request = binary.BigEndian.AppendUint64(request, uint64(p.MSISDN))
	}
	sum := sha256.Sum256(request)
	name := make([]byte, 0, 128)
	for _, x := range []string{s.id, s.batch, strconv.Itoa(g.Call), strconv.Itoa(g.Number), g.Revision} {
		name = append(append(name, x...), ' ')
	}
	return uuid.NewSHA1(requestNamespace, append(name, sum[:]...))
}

var errNoBodies = errors.New("batch of a personalized campaign has no bodies")

// body returns the message body of a generation.
func (s *batchSender) body(g *ledger.Generation) string {
	if g.Body != "" {
		return g.Body
	}
	return s.camp.spec.Body
}

// segmentsOf returns how many segments one message of a generation has.
func (s *batchSender) segmentsOf(g *ledger.Generation) int {
	if g.Body == "" {
		return s.segments
	}
	n, _ := sms.Segments(g.Body)
	return n
}
