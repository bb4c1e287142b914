//! Which request a response answers.

use super::{AppConfig, Http, Parser, progress};
use crate::app::{Record, TxList};
use crate::flow::Direction;

impl Parser {
    /// The transaction the next response belongs to; one without request when there is none.
    pub(super) fn response_tx(&mut self, txs: &mut TxList) -> u64 {
        if let Some(id) = self.sides.to_client.tx {
            return id;
        }
        while self.next_response < txs.created() {
            let id = self.next_response;
            self.next_response = id.saturating_add(1);
            match txs.get(id).and_then(crate::app::Transaction::http) {
                // Made for a response below: not a request.
                Some(http) if http.request_missing => {}
                Some(_) => return id,
                // Given up when too many were open. Its response is read, or all after it are lost.
                None => return Self::lone_response(&self.config, txs),
            }
        }
        let id = Self::lone_response(&self.config, txs);
        self.next_response = id.saturating_add(1);
        id
    }

    /// A transaction for a response whose request is not known.
    fn lone_response(config: &AppConfig, txs: &mut TxList) -> u64 {
        let mut http = Http { request_missing: true, ..Http::default() };
        http.response.body.set_limit(config.response_body_limit);
        let id = txs.push(Record::Http(Box::new(http)));
        if let Some(tx) = txs.get_mut(id) {
            tx.event(Direction::ToClient, "unable_to_match_response_to_request");
            tx.reach(Direction::ToServer, progress::COMPLETE);
        }
        id
    }
}
