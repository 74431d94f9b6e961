//! Hints over RabbitMQ.
