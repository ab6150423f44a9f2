package campaign

import (
	"fmt"
	"strconv"
	"strings"
)

// BatchName returns the name of a batch within its campaign: the number of its stream, a dot, and
// its position in that stream.
func BatchName(stream, seq int) string { return strconv.Itoa(stream) + "." + strconv.Itoa(seq) }

// BatchStream returns the number of the stream in a batch's name.
func BatchStream(batch string) (int, error) {
	a, s, ok := strings.Cut(batch, ".")
	n, err := strconv.Atoi(a)
	if _, err2 := strconv.ParseUint(s, 10, 63); !ok || err != nil || err2 != nil || n < 0 {
		return 0, fmt.Errorf("batch name %.20q: %w", batch, ErrRecord)
	}
	return n, nil
}

// MaxStreams is the maximum number of streams of a campaign. The scripts have the same limit (LANES
// in prelude.lua).
const MaxStreams = 1024

// Stream is an account together with the sending hours of its recipients. Each batch belongs to one
// stream, so all its recipients have the same sending hours. Batches are numbered by stream. Each
// stream has a separate open-batch limit, so a stream outside its hours does not delay other streams.
type Stream struct {
	Number       int
	Account      SnapshotAccount
	SendingHours CountryHours
}

// Streams returns the number of streams of a campaign. First come streams for recipients that may
// be sent to at any hour, one for each account. Then, for each country with sending hours, comes
// one more stream for each account.
func (f PlanSnapshot) Streams() int { return len(f.Accounts) * (1 + len(f.SendingHours)) }

// Stream returns the stream with number n, which must be at least 0 and less than Streams.
func (f PlanSnapshot) Stream(n int) Stream {
	l := Stream{Number: n, Account: f.Accounts[n%len(f.Accounts)]}
	if w := n / len(f.Accounts); w > 0 {
		l.SendingHours = f.SendingHours[w-1]
	}
	return l
}

// SameHoursFor returns the number of the stream that belongs to the given account and has the same
// sending hours as the given stream. The parameters are the numbers of a stream and of an account.
func (f PlanSnapshot) SameHoursFor(stream, account int) int {
	return stream - stream%len(f.Accounts) + account
}

// CountedStreams returns the number of streams for which the scripts keep separate counts. It is
// 0 if the campaign has only one account.
func (f PlanSnapshot) CountedStreams() int {
	if len(f.Accounts) < 2 {
		return 0
	}
	return f.Streams()
}

// StreamOf returns the stream of a batch.
func (f PlanSnapshot) StreamOf(batch string) (Stream, error) {
	n, err := BatchStream(batch)
	if err != nil {
		return Stream{}, err
	}
	if n >= f.Streams() {
		return Stream{}, fmt.Errorf("batch %s names stream %d, but the campaign has only %d streams: %w", batch, n, f.Streams(), ErrRecord)
	}
	return f.Stream(n), nil
}
