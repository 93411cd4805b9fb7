package evaluate

// volumeLinks reports whether the caller can use the key of the volumes. A volume that
// is restored from the encrypted snapshot of another account is encrypted with the
// default EBS key of the launching account. The owner's volumes keep the snapshots'
// keys. Fact: LAUNCH-7, LAUNCH-11, LAUNCH-12.
func (e *evaluation) volumeLinks(a *Account, by *caller) []Link {
	if a.ID == e.region.Image.Owner || len(e.keys) == 0 {
		return nil
	}
	key, known := a.DefaultEBSKeys[e.region.Name]
	switch {
	case !known:
		e.assume(assumedVolumeKey)
		return []Link{holds(LinkVolumeKey, "volumes are encrypted with the default EBS key of the account "+a.ID+", which is assumed to allow it").assumed()}
	case key.AWSManaged:
		return []Link{holds(LinkVolumeKey, "volumes are encrypted with aws/ebs, the default EBS key of the account "+a.ID)}
	}
	return []Link{e.volumeKey(a, key).volumeLink(by)}
}

// volumeKey is the account's default EBS key, parsed.
func (e *evaluation) volumeKey(a *Account, key Key) *regionalKey {
	if k := e.volumeKeys[a.ID]; k != nil {
		return k
	}
	region := *e.region
	region.Keys = map[string]Key{key.ARN: key}
	k := newRegionalKey(e.partition, &region, key.ARN, e.launchers)
	for i := range e.launchers {
		if l := &e.launchers[i]; l.Assumed {
			k.identity[l] = unknownAllow("the identity policy of "+l.Name, "it wasn't read for this key")
		}
	}
	e.volumeKeys[a.ID] = k
	return k
}

// volumeLink combines the links of the volumes' key into one: the first that
// doesn't hold.
func (k *regionalKey) volumeLink(by *caller) Link {
	links := []Link{k.regionLink(by)}
	if k.account != "" {
		links = append(links, k.state)
		links = append(links, k.admit(by)...)
	}
	found := holds(LinkVolumeKey, "the default EBS key "+k.ARN+" of the account "+by.account+" allows it")
	found.Evidence = evidenceOf(links, Launches)
	for _, l := range links {
		if l.Outcome == Launches || l.Outcome == Inconclusive && found.Outcome == Inconclusive {
			continue
		}
		found = newLink(LinkVolumeKey, l.Outcome, "volumes are encrypted with the default EBS key of the account "+by.account+": "+l.Because, l.Remedy).note(l.Note)
		found.Evidence = l.Evidence
		if l.Name != LinkIdentityPolicy && l.Name != LinkGrant {
			found = found.note(k.ownersNote(l.Note))
		}
		if l.Outcome == Fails {
			break
		}
	}
	return found
}

// ownersNote is the note of a remedy that needs the credentials of the key's owner.
func (k *regionalKey) ownersNote(note string) string {
	if note == "" {
		return CredentialsOf(k.account)
	}
	return note + ", " + CredentialsOf(k.account)
}
