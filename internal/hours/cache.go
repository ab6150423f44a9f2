package hours

import "sync"

// Cache creates each Window once and keeps it, because loading time zones is slow. The zero value is
// empty and ready for use. A Cache is safe for concurrent use.
type Cache struct {
	mu sync.Mutex
	by map[cacheKey]*Window
}

type cacheKey struct{ country, hours string }

// Window returns the window of a country. The parameter "text" has the hours in the form that Parse
// parses. Window returns the errors of Parse and In.
func (c *Cache) Window(country, text string) (*Window, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cacheKey{country, text}
	if w := c.by[key]; w != nil {
		return w, nil
	}
	h, err := Parse(text)
	if err != nil {
		return nil, err
	}
	w, err := In(country, h)
	if err != nil {
		return nil, err
	}
	if c.by == nil {
		c.by = map[cacheKey]*Window{}
	}
	c.by[key] = w
	return w, nil
}
