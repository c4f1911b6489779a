package controlplane

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gantry-run/gantry/bootstrap/encryption"
	"github.com/gantry-run/gantry/bootstrap/fleet"
	"github.com/gantry-run/gantry/bootstrap/install"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// decideEncryption finds out how far the masters are on the way to the key that is to
// encrypt Secrets. What it decides, all masters of this run are given.
func decideEncryption(ctx context.Context, o *Operation) error {
	name := encryption.KeyName(o.Want.APIServer.EncryptionKeyRotation)
	var err error
	if fresh(o.identities) {
		o.encryption, err = encryption.First(name, o.NewEncryptionKey)
	} else {
		var files map[string]encryption.Config
		if files, err = readEncryption(ctx, o.masters, o.Want.ID); err != nil {
			return err
		}
		o.encryption, err = encryption.Next(name, files, o.NewEncryptionKey)
	}
	if err == nil {
		o.access.Trust.Encryption, err = o.encryption.Marshal()
	}
	return err
}

// readEncryption reads the files of the masters of this cluster; those without one have
// none.
func readEncryption(ctx context.Context, masters *fleet.Fleet, clusterID string) (map[string]encryption.Config, error) {
	var mu sync.Mutex
	var failed error
	out := map[string]encryption.Config{}
	masters.Look(ctx, masters.Order, func(ctx context.Context, m *fleet.Member) {
		if m.Host == nil {
			return
		}
		c, err := encryptionOn(ctx, m, clusterID)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			// What it has might be the only copy of a key.
			failed = errors.Join(failed, fmt.Errorf("%s: %s: %w", m.Title(), config.EncryptionConfigFile, err))
		} else if c != nil {
			out[m.Spec.Name] = *c
		}
	})
	return out, failed
}

// encryptionOn is nil for a host that is no master of the cluster yet, and for one without
// the file.
func encryptionOn(ctx context.Context, m *fleet.Member, clusterID string) (*encryption.Config, error) {
	files, err := m.Host.ReadFiles(ctx, install.IdentityFile, config.EncryptionConfigFile)
	if err != nil {
		return nil, err
	}
	id, err := install.ReadIdentity(files)
	if err != nil || id == nil || id.ClusterID != clusterID || len(files[config.EncryptionConfigFile]) == 0 {
		return nil, err
	}
	c, err := encryption.Parse(files[config.EncryptionConfigFile])
	if err != nil {
		return nil, fmt.Errorf("%w; copy the file of another master, or, if no Secret is to be kept, remove it", err)
	}
	return &c, nil
}

// Encrypts reports whether Secrets are to be encrypted by another key than they were.
func Encrypts(o *Operation) bool {
	return o.encryption.Stage == encryption.Reads || o.encryption.Stage == encryption.Writes
}

// Encrypt takes the masters through the stages that are left, one master at a time, and
// rewrites all Secrets. It comes after masters have left, as those know no new key.
func (o *Operation) Encrypt(ctx context.Context) error {
	name := encryption.KeyName(o.Want.APIServer.EncryptionKeyRotation)
	err := waitForAll(o, name)
	if err == nil {
		err = encrypt(ctx, o, name)
	}
	for _, master := range o.join.order {
		if m := o.masters.Members[master]; err != nil && m.Status.Err == nil {
			m.Settle(err)
		}
	}
	return nil
}

// waitForAll says which master the next stage has to wait for; nil when all that are and
// were masters are as this run would have them.
func waitForAll(o *Operation, key string) error {
	for _, h := range o.Want.Masters {
		j := o.join.masters[h.Name]
		if j == nil || j.Status.Err != nil {
			return fmt.Errorf("key %s does not encrypt Secrets alone: master %s (%s) has to be able to read what the others write; the next apply goes on", key, h.Name, h.Address)
		}
	}
	for _, name := range o.leaving.Order {
		if m := o.leaving.Members[name]; m.Status.State != fleet.Gone {
			return fmt.Errorf("key %s does not encrypt Secrets alone: master %s has not left, and could not read what the others write; the next apply goes on", key, m.Title())
		}
	}
	return nil
}

func encrypt(ctx context.Context, o *Operation, key string) error {
	for {
		if o.encryption.Stage == encryption.Writes {
			if err := rewriteSecrets(ctx, o, key); err != nil {
				return err
			}
		}
		next, more := o.encryption.Then()
		if !more {
			return nil
		}
		o.encryption = next
		file, err := next.Marshal()
		if err != nil {
			return err
		}
		o.access.Trust.Encryption = file
		for _, h := range o.Want.Masters {
			j := o.join.masters[h.Name]
			j.input = j.input.WithEncryption(file)
			steps, err := install.Encrypt(j.input)
			if err == nil {
				err = o.Run(ctx, j.Member, steps...)
			}
			if err != nil {
				return fmt.Errorf("%s: encrypt Secrets with %s: %w", j.Title(), key, err)
			}
		}
	}
}

func rewriteSecrets(ctx context.Context, o *Operation, key string) error {
	api, err := o.access.Kubernetes(o.Want.Connection())
	if err != nil {
		return err
	}
	journal := o.access.Journal()
	defer journal.Close()
	change := step.RewriteSecrets{Via: encryption.Rewriter{API: api}, Key: key}
	return o.Config.Change(ctx, o.masters.Members[o.access.Source], journal, "encrypt secrets", change)
}
