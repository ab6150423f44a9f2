package ledger

import (
	"encoding/json"
	"fmt"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// shortTransactional is the short form in which the record of a spec stores the class Transactional.
const shortTransactional campaign.Class = "t"

func encodeSpec(s campaign.Spec) ([]byte, error) {
	if s.Class == campaign.Transactional {
		s.Class = shortTransactional
	}
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode spec: %w", err)
	}
	return b, nil
}

func decodeSpec(b []byte) (campaign.Spec, error) {
	var s campaign.Spec
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("decode spec: %w", err)
	}
	switch s.Class {
	case "":
		s.Class = campaign.Marketing
	case shortTransactional:
		s.Class = campaign.Transactional
	}
	return s, nil
}
