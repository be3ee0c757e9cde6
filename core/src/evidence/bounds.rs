//! What comes from another process is cut to size before it is kept or passed on.

use muster_link::text::{CUT_MARK, clip_text};

use super::{Heartbeat, OwnMember};
use crate::limits::{AGENTS_MAX, CHANNELS_MAX, HEARTBEAT_GTID_BYTES_MAX, MEMBERS_MAX};

/// Whether the lists of a heartbeat have a length that an honest agent could send.
pub(super) fn fits(heartbeat: &Heartbeat) -> bool {
    heartbeat.contacts.len() <= AGENTS_MAX
        && heartbeat.relayed.len() <= AGENTS_MAX
        && heartbeat.texts.len() <= MEMBERS_MAX
}

/// The same with every text and list cut to its limit.
pub(super) fn bounded(mut own: OwnMember) -> OwnMember {
    own.note = own.note.as_deref().map(clip_text);
    for text in [
        &mut own.identity.member_id,
        &mut own.identity.server_version,
        &mut own.identity.host,
        &mut own.identity.datadir,
        &mut own.identity.socket,
    ] {
        *text = clip_text(text);
    }
    if let Some(facts) = own.report.as_mut().and_then(|r| r.facts.as_mut()) {
        cut_gtid(&mut facts.gtid_executed);
        facts.channels.truncate(CHANNELS_MAX);
        facts.replicas.truncate(CHANNELS_MAX);
        for channel in &mut facts.channels {
            channel.name = clip_text(&channel.name);
            channel.source_host = clip_text(&channel.source_host);
            channel.error = channel.error.as_deref().map(clip_text);
            channel.source_uuid = channel.source_uuid.as_deref().map(clip_text);
        }
        for replica in &mut facts.replicas {
            *replica = clip_text(replica);
        }
    }
    own
}

fn cut_gtid(gtid: &mut String) {
    if gtid.len() <= HEARTBEAT_GTID_BYTES_MAX {
        return;
    }
    let mut end = HEARTBEAT_GTID_BYTES_MAX - CUT_MARK.len_utf8();
    while !gtid.is_char_boundary(end) {
        end -= 1;
    }
    gtid.truncate(end);
    gtid.push(CUT_MARK);
}
