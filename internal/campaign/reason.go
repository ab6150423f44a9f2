package campaign

// The reasons that planning and the ledger give a recipient. Most of them explain why the recipient
// is skipped.
const (
	ReasonInvalidNumber = "invalid_number"
	ReasonDuplicate     = "duplicate"
	ReasonCancelled     = "cancelled"
	ReasonExpired       = "expired"
	ReasonOverCap       = "over_cap"
	ReasonNoRoute       = "no_route"
	ReasonOptedOut      = "opted_out"
	ReasonMissingField  = "missing_field" // the recipient lacks the value of a merge field; the code is the name of this field
	ReasonBodyTooLong   = "body_too_long"
	ReasonNotSent       = "not_sent"
	ReasonReconciled    = "reconciled" // the recipient is accepted; its outcome was unknown until its message was found at the gateway
	ReasonNotFound      = "not_found"  // the recipient is unknown; its message was not found at the gateway
)

// CodeOtherText is the code of a recipient that is skipped as a duplicate of an earlier recipient
// with the same number, but with another text.
const CodeOtherText = "other_text"

// AllSenders is the suppression list that applies to every campaign, whatever its sender.
const AllSenders = "*"

// ListCode returns the name of a suppression list as it appears in the code of a skipped recipient.
func ListCode(list string) string {
	if list == AllSenders {
		return "global"
	}
	return list
}
