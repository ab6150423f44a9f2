package africastalkingsim

import (
	"fmt"
	"strings"
)

// SetOption sets the option plus: "as_sent" accepts a number whose plus the client has not escaped, as in the
// curl example on the vendor's page. "escaped" refuses such a number with code 403, as the standard of forms
// demands.
func (a *Simulator) SetOption(name, value string) (known bool, err error) {
	if name != "plus" {
		return false, nil
	}
	if value != "as_sent" && value != "escaped" {
		return true, fmt.Errorf("plus: %q must be as_sent or escaped", value)
	}
	a.state.Lock()
	defer a.state.Unlock()
	a.plusEscaped = value == "escaped"
	return true, nil
}

// restorePlus replaces the space before a number with a plus. The vendor's own curl example sends the plus
// without an escape, and a form reads such a plus as a space.
func (c *sendRequest) restorePlus() {
	for i, number := range c.to {
		if rest, ok := strings.CutPrefix(number, " "); ok {
			c.to[i] = "+" + rest
		}
	}
}
