package main

// chosen maps what upstream chose for the object (names of volumes that it added, cluster
// IPs, node ports, labels with UIDs) to what ours chose in the same place.
type chosen map[any]any

func (c chosen) add(upstream, ours any) {
	switch u := upstream.(type) {
	case map[string]any:
		o, _ := ours.(map[string]any)
		for k, v := range u {
			switch k {
			case "managedFields", "resourceVersion", "creationTimestamp", "generation":
			default:
				c.add(v, o[k])
			}
		}
	case []any:
		o, _ := ours.([]any)
		for i, v := range u {
			if i < len(o) {
				c.add(v, o[i])
			}
		}
	case string:
		if o, ok := ours.(string); ok && o != u {
			c[u] = o
		}
	case int64, float64:
		// Small numbers are anything: only node ports are as large.
		if port(u) && port(ours) && u != ours {
			c[u] = ours
		}
	}
}

func port(v any) bool {
	n, ok := v.(int64)
	if f, isFloat := v.(float64); isFloat {
		n, ok = int64(f), true
	}
	return ok && n >= 30000 && n < 32768
}

// in is v with what upstream chose replaced.
func (c chosen) in(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = c.in(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = c.in(e)
		}
		return out
	case nil, bool, string, int64, float64:
		if o, ok := c[v]; ok {
			return o
		}
	}
	return v
}

// own is a body that was made of upstream's object, as a client of our server has it.
func (c *sequence) own(body any) any {
	if c.now[0] == nil || c.now[1] == nil {
		return body
	}
	m := chosen{}
	m.add(c.now[0], c.now[1])
	if len(m) == 0 {
		return body
	}
	return m.in(body)
}
