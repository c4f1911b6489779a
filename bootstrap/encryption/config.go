package encryption

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// keySize is that of NaCl's secretbox.
const keySize = 32

// Key is one key. Its name is stored with each value that it encrypts.
type Key struct {
	Name   string
	Secret []byte
}

// KeyName is that of the key after so many rotations.
func KeyName(rotation int) string { return keyPrefix + strconv.Itoa(rotation) }

const keyPrefix = "key-"

// NewKey makes a key of that name.
func NewKey(name string) (Key, error) {
	k := Key{Name: name, Secret: make([]byte, keySize)}
	if _, err := rand.Read(k.Secret); err != nil {
		return Key{}, fmt.Errorf("make encryption key %s: %w", name, err)
	}
	return k, nil
}

// Config is what one master's file says.
type Config struct {
	// Keys read; the first one writes, unless Plain is set.
	Keys []Key
	// Plain has Secrets written as they are.
	Plain bool
	// Rewriting says that Secrets which the first key did not write may be left. It is a
	// comment in the file, as the API servers have no use for it.
	Rewriting bool
}

// rewriting is the line of a file by which a run that was cut is taken up.
const rewriting = "# Secrets are being rewritten with the first key.\n"

// The shape of an EncryptionConfiguration, as far as we write it.
type (
	document struct {
		APIVersion string     `json:"apiVersion"`
		Kind       string     `json:"kind"`
		Resources  []resource `json:"resources"`
	}
	resource struct {
		Resources []string   `json:"resources"`
		Providers []provider `json:"providers"`
	}
	provider struct {
		Secretbox *secretbox `json:"secretbox,omitempty"`
		Identity  *struct{}  `json:"identity,omitempty"`
	}
	secretbox struct {
		Keys []secretKey `json:"keys"`
	}
	secretKey struct {
		Name   string `json:"name"`
		Secret string `json:"secret"`
	}
)

const (
	apiVersion = "apiserver.config.k8s.io/v1"
	kind       = "EncryptionConfiguration"
	encrypted  = "secrets"
)

// Marshal renders the file. The same configuration always gives the same bytes.
func (c Config) Marshal() ([]byte, error) {
	box := provider{Secretbox: &secretbox{}}
	for _, k := range c.Keys {
		box.Secretbox.Keys = append(box.Secretbox.Keys, secretKey{k.Name, base64.StdEncoding.EncodeToString(k.Secret)})
	}
	// Secrets that no key wrote stay readable: those of a restored snapshot may be such.
	providers := []provider{box, {Identity: &struct{}{}}}
	if c.Plain {
		slices.Reverse(providers)
	}
	data, err := yaml.Marshal(document{apiVersion, kind, []resource{{[]string{encrypted}, providers}}})
	if c.Rewriting {
		data = append([]byte(rewriting), data...)
	}
	return data, err
}

// Parse reads a file that Marshal wrote; another's is an error.
func Parse(data []byte) (Config, error) {
	var d document
	if err := yaml.UnmarshalStrict(data, &d); err != nil {
		return Config{}, fmt.Errorf("it is no %s of ours: %w", kind, withoutSecrets(err))
	}
	if d.APIVersion != apiVersion || d.Kind != kind || len(d.Resources) != 1 || !slices.Equal(d.Resources[0].Resources, []string{encrypted}) || len(d.Resources[0].Providers) != 2 {
		return Config{}, fmt.Errorf("it is no %s of ours: it has to say of %s alone how they are encrypted, by two providers", kind, encrypted)
	}
	c := Config{Rewriting: bytes.HasPrefix(data, []byte(rewriting))}
	providers := d.Resources[0].Providers
	if c.Plain = providers[0].Identity != nil; c.Plain {
		slices.Reverse(providers)
	}
	if providers[0].Secretbox == nil || providers[0].Identity != nil || providers[1].Identity == nil || providers[1].Secretbox != nil {
		return Config{}, fmt.Errorf("it is no %s of ours: its providers have to be secretbox and identity", kind)
	}
	for _, k := range providers[0].Secretbox.Keys {
		secret, err := base64.StdEncoding.DecodeString(k.Secret)
		if err != nil || len(secret) != keySize {
			return Config{}, fmt.Errorf("the secret of key %q is not %d bytes in base64", k.Name, keySize)
		}
		if _, twice := c.key(k.Name); twice {
			return Config{}, fmt.Errorf("key %q is there twice", k.Name)
		}
		c.Keys = append(c.Keys, Key{k.Name, secret})
	}
	if len(c.Keys) == 0 {
		return Config{}, errors.New("it has no keys")
	}
	return c, nil
}

// withoutSecrets keeps the first line of an error, and what it may cite out of it.
func withoutSecrets(err error) error {
	line, _, _ := strings.Cut(err.Error(), "\n")
	if strings.Contains(line, "secret") {
		line = "a field is not as it should be"
	}
	return errors.New(line)
}

// Decisive is the part of a file that decides what an API server does.
func Decisive(data []byte) []byte { return bytes.TrimPrefix(data, []byte(rewriting)) }

// Rotation is the number in the name of the key that writes; 0 where there is none.
func Rotation(data []byte) int {
	c, err := Parse(data)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(c.Keys[0].Name, keyPrefix))
	return n
}

func (c Config) key(name string) (Key, bool) {
	i := slices.IndexFunc(c.Keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		return Key{}, false
	}
	return c.Keys[i], true
}
