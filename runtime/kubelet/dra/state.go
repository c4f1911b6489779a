package dra

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/gantry-run/gantry/runtime/durable"
)

// state are the claims for which drivers were asked, by UID.
type state map[string]*prepared

// prepared is a claim of which drivers may have prepared something.
type prepared struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Pods are the UIDs of those that have it here.
	Pods []string `json:"pods"`
	// Drivers are all that the claim has devices of, with what they have prepared; nil before
	// they have.
	Drivers map[string][]device `json:"drivers"`
}

// device is one that was prepared.
type device struct {
	// Requests are those of the claim that it is for.
	Requests []string `json:"requests"`
	CDI      []string `json:"cdi"`
}

// done says that all drivers have prepared the claim.
func (p *prepared) done() bool {
	for _, devices := range p.Drivers {
		if devices == nil {
			return false
		}
	}
	return true
}

func (p *prepared) usedBy(pod string) bool { return slices.Contains(p.Pods, pod) }

// load reads what was kept; nothing is an empty state.
func load(file string) (state, error) {
	s := state{}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return nil, fmt.Errorf("read which ResourceClaims are prepared in %s: %w", file, err)
	}
	return s, nil
}

func (s state) save(disk durable.FS, file string) error {
	data, err := json.Marshal(s)
	if err == nil {
		err = durable.WriteFile(disk, file, data, durable.Attributes{Mode: 0o600})
	}
	if err != nil {
		return fmt.Errorf("keep which ResourceClaims are prepared: %w", err)
	}
	return nil
}
