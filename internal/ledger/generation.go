package ledger

import (
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// The states of a generation. The state is the first word in the record of a generation.
const (
	stateReady    = "r" // certainly no submission has reached the gateway, and no claim is held
	stateClaimed  = "s"
	stateDoubtful = "d"
	stateSettled  = "t" // a settledRecord follows
)

// noWord stands for a word without a value.
const noWord = "-"

// generationRecord is the record of an open generation in the ledger hash: words with one space
// between them, in the order of the fields. The fields have the names of the positions in
// prelude.lua; generation_test.go compares these names. All times are in ms.
type generationRecord struct {
	State   string // stateReady, stateClaimed or stateDoubtful
	Token   string // token of the last claim
	Lease   string // end of the lease of the last claim
	Claimed string // time of that claim
	First   string // time of the first claim with the idempotency key of the field "UUID"
	Tries   string // number of answers that have counted as attempts so far (Claim.Tries)
	Bad     string // number of unknown answers, or of lookups at the gateway, so far
	Doubt   string // "1" if an earlier attempt may have reached the gateway, else "0"
	Rev     string // revision: it changes when the next submission must be a different request
	UUID    string // idempotency key in base64, or noWord
	Login   string // fingerprint of the account at the first claim
	Due     string // earliest time of the next claim
	Size    string // number of recipients
	Claims  string // number of claims
}

// settledRecord is what a settled generation keeps, after its state. The last words may be
// missing if the generation handed out no wakes, or was not abandoned.
type settledRecord struct {
	UUID   string // idempotency key in base64, or noWord
	At     string // time of the settle
	Token  string // first half of the last claim's token
	Claims string // number of claims
	Wakes  string // batches that were handed out when the generation ended, each with its wake
	By     string // half of the token of the caller that abandoned the generation; "" if it was not abandoned
}

// words returns pointers to the words of the record, in the order of the stored record.
func (r *generationRecord) words() []*string {
	return []*string{&r.State, &r.Token, &r.Lease, &r.Claimed, &r.First, &r.Tries, &r.Bad, &r.Doubt, &r.Rev, &r.UUID, &r.Login, &r.Due, &r.Size, &r.Claims}
}

func (r *settledRecord) words() []*string {
	return []*string{&r.UUID, &r.At, &r.Token, &r.Claims, &r.Wakes, &r.By}
}

// numbers are the words of the record that must be whole numbers.
func (r *generationRecord) numbers() []string {
	return []string{r.Lease, r.Claimed, r.First, r.Tries, r.Bad, r.Doubt, r.Rev, r.Due, r.Size, r.Claims}
}

// String returns the record as Redis has it.
func (r *generationRecord) String() string {
	var text []string
	for _, w := range r.words() {
		text = append(text, *w)
	}
	return strings.Join(text, " ")
}

// splitGeneration splits the record of a generation into its words. settled is nil for an open
// generation. splitGeneration does not check the record (parseGeneration does): missing words leave
// the last fields empty, and further words are ignored.
func splitGeneration(record string) (open generationRecord, settled *settledRecord) {
	words := strings.Fields(record)
	if len(words) > 0 && words[0] == stateSettled {
		settled = &settledRecord{}
		setWords(settled.words(), words[1:])
		return open, settled
	}
	setWords(open.words(), words)
	return open, nil
}

func setWords(fields []*string, words []string) {
	for i, w := range words[:min(len(words), len(fields))] {
		*fields[i] = w
	}
}

// parseGeneration does what splitGeneration does, and also checks the record. It returns
// campaign.ErrRecord for a record that the function is_gen in prelude.lua rejects.
func parseGeneration(record string) (open generationRecord, settled *settledRecord, err error) {
	open, settled = splitGeneration(record)
	if settled == nil && !open.valid() {
		return open, nil, campaign.ErrRecord
	}
	return open, settled, nil
}

// valid reports whether the record can belong to an open generation. Such a record has a known
// state, all words, and digits where a number belongs. The function is_gen in prelude.lua makes
// the same test.
func (r *generationRecord) valid() bool {
	if r.State != stateReady && r.State != stateClaimed && r.State != stateDoubtful || r.Claims == "" {
		return false
	}
	for _, n := range r.numbers() {
		if strings.Trim(n, "0123456789") != "" {
			return false
		}
	}
	return true
}
