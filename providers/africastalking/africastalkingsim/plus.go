package africastalkingsim

import (
	"fmt"
	"strings"
)

// SetOption sets the option "plus". With "as_sent", the simulator accepts a number whose plus is not escaped,
// as in the curl example on the vendor's page. With "escaped", it refuses such a number with code 403,
// because the standard of forms requires an escape.
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
